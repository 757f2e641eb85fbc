import importlib
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from gatectl import __version__
from gatectl.cli import main as module
from gatectl.cli.main import COMMANDS, main
from gatectl.errors import GatectlError


@pytest.fixture
def command(monkeypatch):
    """Replaces every command: calls the present `run` with `args`."""

    def add_arguments(parser):
        parser.add_argument("--json", action="store_true")
        parser.add_argument("rest", nargs="*")

    stand_in = SimpleNamespace(add_arguments=add_arguments, run=lambda _args: 0, imported=[])

    def import_module(name):
        stand_in.imported.append(name)
        return stand_in

    monkeypatch.setattr(module.importlib, "import_module", import_module)
    return stand_in


def test_the_help_lists_every_command_and_imports_none():
    code = (
        "import sys\n"
        "from gatectl.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print(*sorted(name for name in sys.modules if name.startswith('gatectl.')), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name, (_, summary) in COMMANDS.items():
        assert f"    {name} " in done.stdout
        assert summary.split()[0] in done.stdout
    assert done.stderr.split() == ["gatectl.cli", "gatectl.cli.main", "gatectl.errors"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_is_there(name):
    command = importlib.import_module(COMMANDS[name][0])
    assert callable(command.run)
    assert callable(command.add_arguments)
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0


def test_only_the_command_that_is_called_is_imported(command):
    assert main(["events"]) == 0
    assert command.imported == ["gatectl.cli.events"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["events"], None),
        (["-c", "a", "events"], "a"),
        (["-c", "run", "events"], "run"),
        (["-c", "a", "-c", "b", "events"], "b"),
        (["events", "-c", "a"], "a"),
        (["--config=a", "events", "--json"], "a"),
        (["events", "--json", "--config", "a"], "a"),
        (["-c", "a", "events", "-c", "b"], "b"),
        (["events", "x", "y", "-c", "a"], "a"),
    ],
)
def test_the_settings_may_come_before_or_after_the_command(command, line, expected):
    seen = []
    command.run = lambda args: seen.append(args.config) or 0
    assert main(line) == 0
    assert seen == [expected]


def test_a_commands_own_commands_know_the_settings_too(command):
    def add_arguments(parser):
        parser.add_subparsers(required=True).add_parser("off")

    seen = []
    command.add_arguments = add_arguments
    command.run = lambda args: seen.append(args.config) or 0
    assert main(["relay", "off", "-c", "a"]) == 0
    assert seen == ["a"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ([], "gatectl: the following arguments are required: COMMAND"),
        (["evnts"], "gatectl: argument COMMAND: invalid choice: 'evnts'"),
        (["--nope"], "gatectl: "),
        (["events", "--nope"], "gatectl events: unrecognized arguments: --nope"),
        (["events", "--js"], "gatectl events: unrecognized arguments: --js"),
        (["events", "-c"], "gatectl events: argument -c/--config: expected one argument"),
        (["events", "\udcff"], "gatectl: the arguments are not UTF-8 text"),
    ],
)
@pytest.mark.usefixtures("command")
def test_wrong_usage_is_one_line_and_a_hint(capsys, line, complaint):
    assert main(line) == 2
    out, err = capsys.readouterr()
    first, *hints = err.splitlines()
    assert out == ""
    assert first.startswith(complaint)
    assert hints
    assert all(hint.startswith("hint: ") for hint in hints)


def test_the_commands_status_is_the_exit_status(command):
    command.run = lambda _args: 1
    assert main(["check"]) == 1


def test_an_error_is_its_lines_and_its_status(command, capsys):
    class OddError(GatectlError):
        exit_status = 78

    def fail(_args):
        raise OddError("it failed", "do this", "or that")

    command.run = fail
    assert main(["check"]) == 78
    assert capsys.readouterr().err == "it failed\nhint: do this\nhint: or that\n"


def test_an_error_stays_on_one_line_for_any_content():
    error = GatectlError("a\nb\x1b[2J: not there", "try\rc")
    assert error.lines() == [r"a\nb\x1b[2J: not there", r"hint: try\rc"]


def test_an_interrupt_from_the_keyboard_is_quiet(command, capsys):
    def interrupt(_args):
        raise KeyboardInterrupt

    command.run = interrupt
    assert main(["run"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_bug_is_not_hidden(command):
    def stumble(_args):
        raise ZeroDivisionError

    command.run = stumble
    with pytest.raises(ZeroDivisionError):
        main(["run"])


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"gatectl {__version__}\n"


@pytest.mark.parametrize("args", [["--json"], ["-n", "1000"]])
def test_a_reader_who_goes_is_taken_quietly(start, write, args):
    for number in range(1000):
        write(number)
    process = start("events", *args)
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait() == 141
    assert process.stderr.read() == ""


def test_the_help_into_a_closed_pipe_is_quiet(start):
    reading, writing = os.pipe()
    os.close(reading)
    # Without a buffer it is argparse that meets the closed pipe, and says nothing of it.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = start("--help", stdout=writing, env=buffered)
    os.close(writing)
    assert process.wait() == 141
    assert process.stderr.read() == ""


def test_settings_that_are_not_there(start, settings):
    settings.unlink()
    process = start("events")
    assert process.wait() == 78
    assert process.stderr.readline().startswith(f"{settings}:1: ")


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (["sim", "--port"], "9" * 6),
        (["devices", "--baud"], "9" * 10),
        (["monitor", "--listen"], "127.0.0.1:" + "9" * 6),
        (["codes", "create", "--rate"], "9" * 6),
        (["events", "-n"], "9" * 19),
        (["events", "--since"], "9" * 19 + "d"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("more", ["", "9" * 5000])  # Python reads no number of over 4300 digits
def test_an_absurd_number_is_one_line_that_says_what_is_wanted(words, number, more, capsys):
    number = number.replace("9", "9" + more, 1)
    assert main([*words, number]) == 2
    first, hint = capsys.readouterr().err.splitlines()
    assert number in first
    assert " is no" in first
    assert hint.startswith("hint: ")
