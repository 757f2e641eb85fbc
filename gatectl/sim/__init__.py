"""The partner simulator and the virtual devices; part of the product, not of the tests."""
