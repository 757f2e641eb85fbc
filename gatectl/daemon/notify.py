"""Telling the service manager how it stands (sd_notify(3)); nothing where there is none."""

from __future__ import annotations

from collections.abc import Mapping


def notify(state: str, environ: Mapping[str, str]) -> None:
    """`READY=1`, `STOPPING=1`, `WATCHDOG=1`."""
    if "NOTIFY_SOCKET" in environ:
        import systemd.daemon  # noqa: PLC0415 - only where systemd listens

        systemd.daemon.notify(state)
