"""Bash, zsh and fish as a person sits before them: what each offers at the end of a line."""

import os
import pty
import shutil
import subprocess
import threading

import pytest

from gatectl.cli.completion import script

_BASH = """
source {script}
recorded() {{ _gatectl "$@"; printf '%s\\n' "${{COMPREPLY[@]}}" >{fifo}; }}
complete -F recorded gatectl
"""

_ZSH = """
fpath=({folder} $fpath)
autoload -Uz compinit && compinit -u -D
compadd() {{
    local -a hits
    builtin compadd -O hits "$@"
    offered+=("${{hits[@]}}")
    builtin compadd "$@"
}}
record() {{ offered=(); zle complete-word; print -rl -- "${{offered[@]}}" >{fifo}; }}
zle -C complete-word complete-word _main_complete
zle -N record
bindkey '^I' record
"""


def offered(shell, line, folder, environ):
    """The words that `shell` offers where `line` ends, in the folder given."""
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell} here: apt-get install {shell}")
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "LANG": "C.UTF-8"} | environ
    if shell == "fish":
        return _by_fish(line, folder, environ)
    return _by_keyboard(shell, line, folder, environ)


def _by_fish(line, folder, environ):
    rig = folder / "rig"
    rig.mkdir(exist_ok=True)
    (rig / "gatectl.fish").write_text(script("fish"))
    done = subprocess.run(
        ["fish", "--no-config", "-c", "source rig/gatectl.fish; complete -C $argv[1]", line],
        cwd=folder, env=environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return [found.split("\t")[0] for found in done.stdout.splitlines()]


def _by_keyboard(shell, line, folder, environ):
    """Types the line and a TAB at a terminal; the shell writes what it offers into a FIFO."""
    rig = folder / "rig"
    rig.mkdir(exist_ok=True)
    fifo, start = rig / "offered", rig / "start"
    os.mkfifo(fifo)
    if shell == "zsh":
        (rig / "_gatectl").write_text(script("zsh"))
        start.write_text(_ZSH.format(folder=rig, fifo=fifo))
        command = ["zsh", "-f", "-i"]
    else:
        (rig / "gatectl.bash").write_text(script("bash"))
        start.write_text(_BASH.format(script=rig / "gatectl.bash", fifo=fifo))
        command = ["bash", "--norc", "--noprofile", "-i"]
    parent, child = pty.openpty()
    process = subprocess.Popen(
        command, cwd=folder, env=environ, stdin=child, stdout=child, stderr=child, start_new_session=True
    )
    os.close(child)
    shown = bytearray()
    # An unread terminal would stop the shell.
    screen = threading.Thread(target=_drain, args=(parent, shown), daemon=True)
    screen.start()
    try:
        os.write(parent, f"source {start}\n".encode())
        os.write(parent, f"{line}\t".encode())
        with fifo.open(encoding="utf-8") as found:
            return [word for word in found.read().splitlines() if word]
    finally:
        process.kill()
        process.wait()
        screen.join()  # with the shell the terminal hangs up; a descriptor in use must not be closed
        os.close(parent)
        fifo.unlink()


def _drain(terminal, shown):
    try:
        while data := os.read(terminal, 4096):
            shown += data
    except OSError:
        return  # the shell has gone
