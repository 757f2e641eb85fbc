"""gatectl stands between a gym's members and its door: scan, ask the partner, open, record."""

__version__ = "0.1.0"
