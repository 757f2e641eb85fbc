"""gatectl opens a gym's gate for members of aggregators: scan, ask the partner, open, record."""

__version__ = "0.1.0"
