"""The Event Monitor and the member's display as web pages, in a separate, read-only process."""
