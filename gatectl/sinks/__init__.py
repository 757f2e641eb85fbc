"""Followers of the events: the systemd journal, the displays."""
