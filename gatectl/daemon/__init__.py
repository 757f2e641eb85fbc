"""The daemon: puts the parts together and supervises them."""
