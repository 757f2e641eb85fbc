"""The Event Monitor and the member's display as web pages: a process of its own that reads and never acts."""
