"""The partner simulator and the virtual devices. They are part of the product, not of the tests."""
