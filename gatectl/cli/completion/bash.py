"""Completion for bash (bash(1), "Programmable Completion")."""

from __future__ import annotations

from collections.abc import Iterator

from gatectl.cli.completion.outline import Command, Value

_SCRIPT = r"""# bash completion for gatectl, printed by `gatectl completion bash`.
# Doors and partners come from the settings, where whoever asks may read them.

# The names of [TABLE.NAME] in a settings file, one a line.
_gatectl_names() { # TABLE FILE
    sed -n -e 's/^[[:space:]]*\[\[*'"$1"'\."\([^"]*\)".*/\1/p;t' \
        -e 's/^[[:space:]]*\[\[*'"$1"'\.\([A-Za-z0-9_-]*\).*/\1/p' -- "$2" 2>/dev/null | sort -u
}

_gatectl() {
    local current=${COMP_WORDS[COMP_CWORD]} path=gatectl place=0 takes='' index word name
    local settings=${GATECTL_CONFIG:-/etc/gatectl/gatectl.toml}
    if [[ $current == = ]]; then current=''; fi
    for ((index = 1; index < COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        if [[ $word == = ]]; then continue; fi
        if [[ -n $takes ]]; then
            if [[ $takes == settings ]]; then settings=${word/#\~\//$HOME/}; fi
            takes=''
            continue
        fi
        case "$path $word" in
            *' -c' | *' --config') takes=settings ;;
@WALK@
            *' '-*) ;;
            *) ((place += 1)) ;;
        esac
    done

    if [[ -z $takes && $current == -* ]]; then
        case $path in
@OPTIONS@
        esac
    elif [[ -z $takes ]]; then
        case "$path $place" in
@PLACES@
        esac
    fi

    COMPREPLY=()
    case $takes in
        settings | file)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            ;;
        folder)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -d -- "$current")
            ;;
        door | partner)
            while IFS= read -r name; do
                if [[ $name == "${current//\\/}"* ]]; then COMPREPLY+=("$(printf %q "$name")"); fi
            done < <(_gatectl_names "${takes}s" "$settings")
            ;;
        =*) mapfile -t COMPREPLY < <(compgen -W "${takes#=}" -- "$current") ;;
    esac
}

complete -F _gatectl gatectl
"""


def script(root: Command) -> str:
    """Return the whole file."""
    parts = {"@WALK@": _walk(root), "@OPTIONS@": _options(root), "@PLACES@": _places(root)}
    text = _SCRIPT
    for mark, lines in parts.items():
        text = text.replace(mark, "\n".join(f"            {line} ;;" for line in lines))
    return text


def _takes(value: Value) -> str:
    """The value of the script's `takes`: a kind, or a `=` and the words."""
    return f"'={' '.join(value.words)}'" if value.kind == "words" else f"'{value.kind}'"


def _walk(root: Command) -> Iterator[str]:
    for command in root.all():
        for option in command.options:
            if option.value is not None and "-c" not in option.flags:
                patterns = " | ".join(f"'{command.line} {flag}'" for flag in option.flags)
                yield f"{patterns}) takes={_takes(option.value)}"
        if command.commands:
            patterns = " | ".join(f"'{below.line}'" for below in command.commands)
            yield f'{patterns}) path+=" $word"'


def _options(root: Command) -> Iterator[str]:
    for command in root.all():
        flags = " ".join(flag for option in command.options for flag in option.flags)
        yield f"'{command.line}') takes='={flags}'"


def _places(root: Command) -> Iterator[str]:
    for command in root.all():
        if command.commands:
            yield f"'{command.line} 0') takes='={' '.join(below.path[-1] for below in command.commands)}'"
        for number, place in enumerate(command.places):
            yield f"'{command.line} {number}') takes={_takes(place.value)}"
