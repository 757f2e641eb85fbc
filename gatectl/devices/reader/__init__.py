"""Readers: serial ports and keyboards, found, probed and supervised."""
