"""The completions of bash, zsh and fish for gatectl, in the shells themselves."""

import shutil
import subprocess

import pytest
from real_shells import offered

from gatectl.cli.completion import SHELLS, script
from gatectl.cli.completion.outline import KINDS, outline
from gatectl.cli.main import COMMANDS, main
from gatectl.decision.verdict import Result

SETTINGS = """
[partners.wellhub]
[ partners.ignored]
[partners."Urban Sports"]
key = "[partners.none]"
[doors.main]
[[doors.main.scanners]]
[[doors.back-entrance.scanners]]
"""


@pytest.fixture(params=SHELLS)
def offers(request, tmp_path):
    """The shell's offers at the end of a line, as a set."""
    (tmp_path / "gym.toml").write_text(SETTINGS)
    (tmp_path / "cards.csv").touch()
    (tmp_path / "folder").mkdir()
    environ = {"GATECTL_CONFIG": str(tmp_path / "gym.toml")}

    def ask(line, **more):
        words = {word.rstrip(" /") for word in offered(request.param, line, tmp_path, environ | more)}
        # If nothing else fits, zsh offers the options even before a dash.
        is_about_options = line.split(" ")[-1].startswith("-")
        return {word for word in words if is_about_options or not word.startswith("-")}

    return ask


@pytest.mark.parametrize("shell", SHELLS)
def test_the_command_prints_the_script(shell, capsys):
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out == script(shell)


def test_the_commands(offers):
    assert offers("gatectl ") == set(COMMANDS)
    assert offers("gatectl ro") == {"route"}
    assert offers("gatectl -c gym.toml ro") == {"route"}


def test_a_commands_own_commands(offers):
    assert offers("gatectl cards ") == {"add", "remove", "list", "import", "export"}
    assert offers("gatectl relay ") == {"off"}
    assert offers("gatectl monitor ") == {"link"}


def test_options(offers):
    assert offers("gatectl events --d") == {"--door"}
    assert offers("gatectl -c gym.toml events --since 2h --re") == {"--result"}
    assert offers("gatectl events --co") == {"--code", "--config"}
    assert offers("gatectl cards list --j") == {"--json"}


def test_results(offers):
    assert offers("gatectl events --result ") == set(Result)
    assert offers("gatectl events -n 3 -f --result re") == {"rejected"}


def test_doors_come_from_the_settings(offers):
    assert offers("gatectl open ") == {"main", "back-entrance"}
    assert offers("gatectl route 4711 --door b") == {"back-entrance"}


def test_partners_come_from_the_settings(offers):
    found = {name.replace("\\", "").strip("'") for name in offers("gatectl cards add 4711 ")}
    assert found == {"wellhub", "Urban Sports"}
    assert offers("gatectl events --partner w") == {"wellhub"}


def test_the_settings_named_in_the_line_count(offers, tmp_path):
    (tmp_path / "other.toml").write_text("[doors.side]\n")
    assert offers("gatectl -c other.toml open ") == {"side"}
    assert offers("gatectl open -c other.toml ") == {"side"}
    assert offers("gatectl --config=other.toml open ") == {"side"}


def test_without_settings_nothing_is_made_up(offers, tmp_path):
    assert offers("gatectl open ", GATECTL_CONFIG=str(tmp_path / "none")) == set()


def test_files(offers):
    assert offers("gatectl cards import c") == {"cards.csv"}
    assert offers("gatectl check -c g") == {"gym.toml"}


def test_free_text_offers_nothing(offers):
    assert offers("gatectl events --member ") == set()
    assert offers("gatectl cards add 4711 wellhub ") == set()


@pytest.mark.parametrize(
    "command",
    [["shellcheck", "-s", "bash"], ["zsh", "-n"], ["fish", "-n"]],
    ids=lambda command: command[0],
)
def test_the_scripts_are_sound(command, tmp_path):
    if not shutil.which(command[0]):
        pytest.skip(f"there is no {command[0]} here: apt-get install {command[0]}")
    file = tmp_path / "script"
    file.write_text(script(command[-1] if "-s" in command else command[0]))
    subprocess.run([*command, file], check=True)


def test_every_name_of_a_place_is_known_or_free_text():
    kinds = set()
    for command in outline().all():
        values = [place.value for place in command.places]
        values += [option.value for option in command.options if option.value]
        kinds |= {value.name for value in values if value.kind == "text"}
    assert not kinds & {"PATH", "FOLDER", "DOORS", "PARTNERS", *KINDS}
