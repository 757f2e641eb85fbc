"""Completion for bash, zsh and fish, generated from the commands' own parsers.

The files are in `systemd/`, with the others that `scripts/install` places in the system.
After a change of the commands:  .venv/bin/python -m gatectl.cli.shells systemd
"""
