"""The protocol `http`: any backend, asked and understood by the rules in the settings."""
