"""Completion for zsh (zshcompsys(1), `_arguments` and `_describe`)."""

from __future__ import annotations

from gatectl.cli.completion.outline import Command, Option, Value

_HEAD = r"""#compdef gatectl
# zsh completion for gatectl, printed by `gatectl completion zsh`.
# Doors and partners come from the settings, where whoever asks may read them.

# Offers the names of [TABLE.NAME] in the settings.
_gatectl_names() { # TABLE
    local settings=${opt_args[-c]:-${opt_args[--config]:-$given}}
    local -a names
    names=(${(f)"$(sed -n -e 's/^[[:space:]]*\[\[*'"$1"'\."\([^"]*\)".*/\1/p;t' \
        -e 's/^[[:space:]]*\[\[*'"$1"'\.\([A-Za-z0-9_-]*\).*/\1/p' -- ${~settings} 2>/dev/null | sort -u)"})
    _wanted names expl "${1%s}" compadd -a names
}
"""

_TAIL = """
_gatectl "$@"
"""

_ACTIONS = {
    "file": "_files",
    "folder": "_files -/",
    "door": " _gatectl_names doors",
    "partner": " _gatectl_names partners",
    "text": " ",
}
"""The leading blank keeps `_arguments` from adding its own words after the function's name."""


_GIVEN = {
    True: "local given=${opt_args[-c]:-${opt_args[--config]:-${GATECTL_CONFIG:-/etc/gatectl/gatectl.toml}}}",
    False: "local given=${opt_args[-c]:-${opt_args[--config]:-$given}}",
}
"""The settings file named in the line so far; keyed by whether this is the outermost command."""


def script(root: Command) -> str:
    """Return the whole file."""
    functions = "".join(f"\n{_function(command)}" for command in root.all())
    return _HEAD + functions + _TAIL


def _function(command: Command) -> str:
    specs = [
        *(_option(option) for option in command.options),
        *(_quoted(f"{number}:{_argument(place.value)}") for number, place in enumerate(command.places, 1)),
    ]
    head = f"{_name(command)}() {{\n"
    if not command.commands:
        return f"{head}    _arguments {_lines(specs)}\n}}\n"
    specs += ["'1:COMMAND:->command'", "'*:: :->rest'"]
    below = [_quoted(f"{_escaped(one.path[-1])}:{one.summary}") for one in command.commands]
    cases = [f"{one.path[-1]}) {_name(one)} ;;" for one in command.commands]
    return (
        f'{head}    local curcontext="$curcontext" state line expl\n'
        "    local -A opt_args\n"
        "    local -a commands\n"
        f"    _arguments -C -A '-*' {_lines(specs)}\n"
        f"    {_GIVEN[command.path[1:] == ()]}\n"
        "    case $state in\n"
        "        command)\n"
        f"            commands=(\n{_indented(below, 16)}\n            )\n"
        "            _describe -t commands command commands\n"
        "            ;;\n"
        "        rest)\n"
        f"            case $words[1] in\n{_indented(cases, 16)}\n            esac\n"
        "            ;;\n"
        "    esac\n"
        "}\n"
    )


def _name(command: Command) -> str:
    return "_" + "_".join(command.path)


def _option(option: Option) -> str:
    argument = "" if option.value is None else f":{_argument(option.value)}"
    both = len(option.flags) > 1
    exclusive = f"({' '.join(option.flags)})" if both else ""
    if option.is_repeatable:
        exclusive = "*"
    explained = f"[{_escaped(option.help)}]{argument}"
    # `--door=main` may be one word or two.
    flags = [flag + ("=" if argument and flag.startswith("--") else "") for flag in option.flags]
    if both:
        return f"{_quoted(exclusive)}{{{','.join(flags)}}}{_quoted(explained)}"
    return _quoted(f"{exclusive}{flags[0]}{explained}")


def _argument(value: Value) -> str:
    action = f"({' '.join(value.words)})" if value.kind == "words" else _ACTIONS[value.kind]
    return f"{value.name}:{action}"


def _escaped(text: str) -> str:
    return "".join(f"\\{char}" if char in "[]:\\" else char for char in text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _lines(specs: list[str]) -> str:
    return " \\\n        ".join(specs)


def _indented(lines: list[str], columns: int) -> str:
    return "\n".join(" " * columns + line for line in lines)
