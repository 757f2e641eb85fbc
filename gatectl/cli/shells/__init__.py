"""Completion for bash, zsh and fish, made from the commands' own parsers.

The files stand in `systemd/` beside everything else that `scripts/install` puts into the system's places.
After a change of the commands:  .venv/bin/python -m gatectl.cli.shells systemd
"""
