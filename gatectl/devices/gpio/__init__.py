"""Relays, signals and their pins."""
