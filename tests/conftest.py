"""Fixtures and rules for all tests."""

from hypothesis import settings

# A busy machine is no failure: no example is timed.
settings.register_profile("gatectl", deadline=None)
settings.load_profile("gatectl")
