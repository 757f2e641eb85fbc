"""The man pages: whole, and without a complaint from those who show them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gatectl.cli.shells.outline import outline

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "systemd/gatectl.1", ROOT / "systemd/gatectl.toml.5"]
COMMANDS = [command for command in outline().all() if not command.commands]


def plain(page):
    """The page's source without its marks, the continued lines joined."""
    text = page.read_text().replace("\\\n", "")
    text = re.sub(r"^\.(B|I|[BIR]{2}) (.*)$", lambda line: _words(*line.groups()), text, flags=re.MULTILINE)
    return re.sub(r"\\f[RIB]", "", text).replace("\\-", "-")


def _words(macro, arguments):
    """Macros of two fonts join their words."""
    between = "" if len(macro) == 2 else " "
    return between.join(quoted or word for quoted, word in re.findall(r'"([^"]*)"|(\S+)', arguments))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.line)
def test_every_command_stands_there_with_its_options_and_arguments(command):
    name = " ".join(command.path[1:])
    headings = re.findall(r"^\.TP\n(.*)$", plain(PAGES[0]), re.MULTILINE)
    named = [line for line in headings if re.match(rf"{name.replace(' ', ' *')}(?![a-z])", line)]
    assert len(named) == 1, name
    for option in command.options:
        if not {"-h", "-c"} & set(option.flags):
            value = "" if option.value is None else rf" {option.value.name}\b"
            assert re.search(rf"(?<![\w-]){option.flags[0]}{value}(?![\w-])", named[0])
    for place in command.places:
        words = place.value.words or (place.value.name,)
        assert all(word in named[0] for word in words)


def test_the_options_of_all_commands_stand_there():
    text = plain(PAGES[0])
    for option in outline().options:
        assert all(flag in text for flag in option.flags)


def sample_settings():
    """Every name that stands before a `=` in the sample, which has all settings."""
    sample = (ROOT / "config/gatectl.toml").read_text()
    return sorted(set(re.findall(r"(?<![\w<])([a-z_]+) = ", sample)))


@pytest.mark.parametrize("name", sample_settings())
def test_every_setting_stands_there(name):
    assert re.search(rf"^\.(?:B|BR|BI|RB) .*\b{name}\b", PAGES[1].read_text(), re.MULTILINE)


def test_every_table_stands_there():
    tables = re.findall(r"^\.SS (\[.*\])$", PAGES[1].read_text(), re.MULTILINE)
    sample = (ROOT / "config/gatectl.toml").read_text()
    for table in re.findall(r"^(?:# )?(\[.*\])$", sample, re.MULTILINE):
        assert re.sub(r"\b(partners|doors)\.\w+", r"\1.NAME", table) in tables


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.parametrize(
    "command",
    [
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8"],
        ["groff", "-man", "-ww", "-z", "-Tutf8"],
        ["mandoc", "-Tlint", "-W", "style"],
    ],
    ids=lambda command: command[0],
)
def test_nobody_who_shows_it_complains(command, page):
    if not shutil.which(command[0]):
        pytest.skip(f"there is no {command[0]} here: apt-get install {command[0]}")
    done = subprocess.run([*command, page], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    if command[0] == "mandoc":
        assert done.stdout == ""
