"""Advice and triage: one place for the words of command line, monitor and catalogs."""
