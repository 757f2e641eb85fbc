"""Completion for fish (complete(1) of fish)."""

from __future__ import annotations

from collections.abc import Iterator

from gatectl.cli.completion.outline import Command, Option, Value

_HEAD = r"""# fish completion for gatectl, printed by `gatectl completion fish`.
# Doors and partners come from the settings, where whoever asks may read them.

# The names of [TABLE.NAME] in the settings, one a line.
function __gatectl_names # TABLE
    set -l settings /etc/gatectl/gatectl.toml
    set -q GATECTL_CONFIG; and set settings $GATECTL_CONFIG
    set -l before ''
    for word in (commandline -opc)
        string match -q -- '--config=*' $word; and set settings (string replace -- --config= '' $word)
        contains -- "$before" -c --config; and set settings $word
        set before $word
    end
    sed -n -e 's/^[[:space:]]*\[\[*'$argv[1]'\."\([^"]*\)".*/\1/p;t' \
        -e 's/^[[:space:]]*\[\[*'$argv[1]'\.\([A-Za-z0-9_-]*\).*/\1/p' -- $settings 2>/dev/null | sort -u
end

# Whether the line is that of this command, and the current word is in this place.
function __gatectl_at # COMMAND [PLACE]
    set -l path gatectl
    set -l place 0
    set -l takes no
    for word in (commandline -opc)[2..-1]
        if test $takes = yes
            set takes no
            continue
        end
        switch "$path $word"
            case @TAKING@
                set takes yes
            case @COMMANDS@
                set path "$path $word"
            case '* -*'
            case '*'
                set place (math $place + 1)
        end
    end
    test "$path" = "$argv[1]"; or return 1
    test (count $argv) -eq 1; or test "$place" = "$argv[2]"
end

complete -c gatectl -f
"""

_TAKES = {
    "file": "-r -F",
    "folder": "-x -a '(__fish_complete_directories)'",
    "door": "-x -a '(__gatectl_names doors)'",
    "partner": "-x -a '(__gatectl_names partners)'",
    "text": "-x",
}


def script(root: Command) -> str:
    """Return the whole file."""
    taking = [
        f"'{command.line} {flag}'"
        for command in root.all()
        for option in command.options
        if option.value is not None and "-c" not in option.flags
        for flag in option.flags
    ]
    commands = [f"'{command.line}'" for command in root.all() if command is not root]
    head = _HEAD.replace("@TAKING@", " ".join(["'* -c'", "'* --config'", *taking]))
    head = head.replace("@COMMANDS@", " ".join(commands))
    return head + "".join(f"{line}\n" for command in root.all() for line in _lines(command))


def _lines(command: Command) -> Iterator[str]:
    for below in command.commands:
        where = _where(command, 0)
        yield f"complete -c gatectl -n {where} -a {below.path[-1]} -d {_quoted(below.summary)}"
    for number, place in enumerate(command.places):
        if place.value.kind != "text":
            takes = _takes(place.value).removeprefix("-r ").removeprefix("-x ")
            yield f"complete -c gatectl -n {_where(command, number)} {takes}"
    for option in command.options:
        yield f"complete -c gatectl -n {_where(command)} {_option(option)} -d {_quoted(option.help)}"


def _where(command: Command, place: int | None = None) -> str:
    at = f"__gatectl_at '{command.line}'"
    return f'"{at}"' if place is None else f'"{at} {place}"'


def _option(option: Option) -> str:
    flags = [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags]
    return " ".join(flags if option.value is None else [*flags, _takes(option.value)])


def _takes(value: Value) -> str:
    return f"-x -a '{' '.join(value.words)}'" if value.kind == "words" else _TAKES[value.kind]


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
