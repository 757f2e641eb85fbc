"""The modules that a daemon imports: each costs memory, and time at each start of a door."""

from pathlib import Path

OTHER_PROTOCOLS = ("wellhub", "capitan", "device_api", "generic_http", "codes")
OTHER_READERS = ("evdev_keyboard", "caps_lock", "probe", "detect", "discovery")


def test_a_running_daemon_has_nothing_that_it_does_not_need(gym):
    gym = gym({"perfectgym": {}}).start(PYTHONVERBOSE="1")
    mapped = Path(f"/proc/{gym.pid}/maps").read_text()
    gym.terminate()
    imported = {line.split("'")[1] for line in gym.stderr if line.startswith("import '")}
    assert {"gatectl.daemon.serve", "pydantic_core", "gatectl.partners.perfectgym"} <= imported
    assert not {name for name in imported if {*name.split(".")} & {*OTHER_PROTOCOLS, *OTHER_READERS}}
    assert not imported & {"pydantic", "rich", "jinja2", "starlette", "httpx", "cryptography"}
    assert not imported & {"trustme", "hypothesis"}
    assert not imported & {"gatectl.journal.pages", "gatectl.decision.spreadsheet", "html.entities", "uuid"}
    assert "evdev" not in mapped, "no scanner here is a keyboard"


def test_a_file_of_somebody_else_at_the_journals_path_is_a_settings_error(gym):
    gym = gym()
    gym.journal.parent.mkdir(parents=True, exist_ok=True)
    gym.journal.write_text("a year of notes\n")
    gym.spawn()
    assert gym.wait() == 78
    printed = gym.stderr[-2:]
    checked = gym.run("check")
    assert (checked.returncode, checked.stderr.splitlines()) == (78, printed)
    line, hint = printed
    number = gym.settings.read_text().splitlines().index("[journal]") + 2
    assert line == f"{gym.settings}:{number}: journal.path: {gym.journal} is not a gatectl store"
    assert hint.startswith("hint: name another file at journal.path")
    assert gym.journal.read_text() == "a year of notes\n"
