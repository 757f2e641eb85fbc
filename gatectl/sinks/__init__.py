"""Sinks: the followers of events, screens and log entries."""
