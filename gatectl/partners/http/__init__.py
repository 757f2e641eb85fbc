"""The HTTP client that asks partners within a budget."""
