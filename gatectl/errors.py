"""The errors that a person sees: one line, then `hint:` lines, and an exit status."""

from __future__ import annotations

from collections.abc import Iterable

SUDO = "put sudo in front of the command"
SUDO_OR_GROUP = f"{SUDO}, or join the group gatectl and log in again: sudo usermod -aG gatectl $USER"
"""Hints for an ordinary user of a door: files of the group, and files that only the service's user writes."""


def visible(text: str) -> str:
    """The text on one line: what would break it, or play with the terminal, in Python's escapes."""
    if text.isprintable():  # nearly always
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def one_line(error: Exception) -> str:
    """The message of a library's error on one line; its class where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant, if one is similar."""
    import difflib  # noqa: PLC0415 - only where something is wrong

    by_lower = {other.lower(): other for other in known}
    found = difflib.get_close_matches(name.lower(), list(by_lower), n=1)
    return by_lower[found[0]] if found else None


def near(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return a hint with the known name that was probably meant, if one is similar."""
    found = nearest(name, known)
    return () if found is None else (f"did you mean {found}?",)


class GatectlError(Exception):
    """Something failed; `message` is one line without a full stop, `hints` say what to do."""

    exit_status = 1
    setting: tuple[str, ...] = ()
    """The setting at fault: a command shows its line in the file."""

    def __init__(self, message: str, *hints: str) -> None:
        super().__init__(message)
        self.message = message
        self.hints = hints

    def lines(self) -> list[str]:
        """The lines for stderr."""
        return [visible(line) for line in (self.message, *(f"hint: {hint}" for hint in self.hints))]


class UsageError(GatectlError):
    """The command line asks for something that does not make sense."""

    exit_status = 2
