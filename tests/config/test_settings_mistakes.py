"""Mistakes that installers make: each is refused, or warned of, with the remedy."""

from __future__ import annotations

from typing import get_args

import pytest

from gatectl.config.reader import load, load_with_keys
from gatectl.config.warnings import warnings_of
from gatectl.decision.reader.keymap import LayoutName

MATCH = r"match = '\d{13}'"
GYM_ID = 'gym_id = "0123"'
URL = 'url = "https://api.example.com/checkin"'
RELAY = "relay = { pin = 17 }"
DOORS = 'doors = ["main"]'
DEVICE = 'device = "/dev/input/by-id/usb-X-event-kbd"'
PORT = 'port = "/dev/ttyS7"'
WELLHUB_KEY = 'gym_id = "0123"\nkey = { file = "key" }'

ROUTE = "21: routes[0].match: "
GROUPS = "; the groups with a meaning are member and customer"
MS = "it is in milliseconds, without a unit: 2 seconds are 2000"
ONE_NAME = "must have exactly one of device, name and bluetooth"
LAYOUTS = f"{', '.join(map(repr, get_args(LayoutName)[:-1]))} or 'tr'"
TYPES = 'a reader on a serial port, also over USB, is "serial", one that types like a keyboard is "evdev"'
KEY = 'put the key alone into a file with mode 640, and write key = { file = "/etc/gatectl/secrets/wellhub" }'
NO_MEMBER = "routes[0].match: takes no number of a member that "
NEVER = ": is never reached, since routes[0] takes every code that it could"
OFF_HEADER = "is not on a Raspberry Pi's header; `pinout` shows which place there has which BCM number"
NO_CUSTOMER = (
    "routes[1].match: wellpass is asked with the customer's number, and without a group (?P<customer>...) "
    "no code of this route is recognised"
)
HEADER = 'a table is [doors.NAME] or [[routes]]; a name with blanks needs quotes: [doors."main gate"]'
POSSESSIVE = "has a group inside a possessive repetition, with which Python fails on some codes"
NO_NUMBER = "leave out the + behind the repetition, or make the group one without a number, (?:...)"
BRACKETS = 'write ["…", "…"], with square brackets also around a single one'


@pytest.mark.parametrize(
    ("old", "new", "what", "hints"),
    [
        # Patterns in another notation.
        (
            MATCH,
            r"match = '(?P<membre>\d+)'",
            f"{ROUTE}has a group 'membre'{GROUPS}",
            ["did you mean member?"],
        ),
        (
            MATCH,
            r"match = '(?P<Customer>\d+)'",
            f"{ROUTE}has a group 'Customer'{GROUPS}",
            ["did you mean customer?"],
        ),
        (
            MATCH,
            r"match = '(?P<x>\d+)'",
            f"{ROUTE}has a group 'x'{GROUPS}",
            ["a group that only holds together is (?:...)"],
        ),
        (
            MATCH,
            r"match = '/\d+/'",
            f"{ROUTE}is between slashes",
            [r"write '\d+'; a slash of the code itself is [/]"],
        ),
        (
            MATCH,
            r"match = '/wp-\d+/i'",
            f"{ROUTE}is between slashes",
            [r"write 'wp-\d+'; a slash of the code itself is [/]"],
        ),
        (
            MATCH,
            r"match = '(?<member>\d+)'",
            f"{ROUTE}does not compile: unknown extension ?<m, at character 2",
            ["a group with a name is (?P<member>...)"],
        ),
        (
            MATCH,
            r"match = ' \d{13}'",
            f"{ROUTE}begins or ends with a blank, and no code does",
            ["leave the blank out"],
        ),
        (
            MATCH,
            r"match = '\\d{13}'",
            f"{ROUTE}has a backslash twice",
            [r"in single quotes it is written once: \d"],
        ),
        (
            MATCH,
            "match = '*'",
            f"{ROUTE}does not compile: nothing to repeat, at character 1",
            ["any text is .*"],
        ),
        (
            MATCH,
            r"match = '\d{13'",
            f"{ROUTE}has a {{ without its }}",
            [r"\d{13} are thirteen digits; a brace of the code itself is \{"],
        ),
        (
            MATCH,
            "match = '[[:digit:]]{13}'",
            f"{ROUTE}has [:digit:], which is not known here",
            [r"write \d for a digit, [A-Za-z] for a letter"],
        ),
        (
            MATCH,
            "match = '[0\u20139]{13}'",
            f"{ROUTE}has a dash '\u2013' where a range has a hyphen",
            ["type it again as -, as in [0-9]"],
        ),
        (
            MATCH,
            r"match = '\d{13}\z'",
            rf"{ROUTE}does not compile: bad escape \z, at character 7",
            ["the whole code has to match in any case: leave it out"],
        ),
        (
            MATCH,
            "match = 'a(?i)b'",
            f"{ROUTE}does not compile: global flags not at the start of the expression, at character 2",
            ["(?i), which ignores case, must be at the very beginning"],
        ),
        (
            MATCH,
            "match = ['a', 'b']",
            f"{ROUTE}must be one pattern",
            ["(?:A|B) takes either of two; further routes may lead there too"],
        ),
        *(
            (MATCH, f"match = '{pattern}'", f"{ROUTE}{POSSESSIVE}", [NO_NUMBER])
            for pattern in ("(?:([A-Z])|.)++", "(?:x(?P<member>a|b)|.)*+", r"(?>(?:(\d)|.){1,3}+)")
        ),
        # Keys.
        (
            WELLHUB_KEY,
            f'{GYM_ID}\nkey = {{ env = "$WELLHUB" }}',
            "8: partners.wellhub.key.env: must be the name of an environment variable",
            ['it is the name alone, without $ and without the value: { env = "WELLHUB_KEY" }', KEY],
        ),
        (
            WELLHUB_KEY,
            f'{GYM_ID}\nkey = {{ env = "s3cr3t-k3y" }}',
            "8: partners.wellhub.key.env: must be the name of an environment variable",
            ['it is the name alone, without $ and without the value: { env = "WELLHUB_KEY" }', KEY],
        ),
        (
            WELLHUB_KEY,
            f'{GYM_ID}\nkey = {{ file = "~/key" }}',
            "8: partners.wellhub.key.file: must be a full path: ~ is not expanded here",
            ["write the folder out, as in /home/pi/…", KEY],
        ),
        # Addresses.
        (
            URL,
            'url = " https://a.example/"',
            "12: partners.wellpass.url: must not hold blanks",
            ["copy it again, without the text around it"],
        ),
        (
            URL,
            'url = "https://https://a.example/"',
            "12: partners.wellpass.url: has no valid host",
            ['it looks like "https://api.example.com"'],
        ),
        (
            URL,
            'url = "https://a.example/<tenant>/"',
            "12: partners.wellpass.url: holds a placeholder in < > or { }",
            ["put what the partner gave in its place"],
        ),
        (
            GYM_ID,
            'gym_id = "<id>"',
            "7: partners.wellhub.gym_id: is a placeholder in < >",
            ["put the gym's own in its place"],
        ),
        # Files and sockets.
        (
            "[site]",
            '[journal]\npath = "/var/lib/gatectl/"\n[site]',
            "2: journal.path: must be a file, and this is a folder",
            ["add the file's name to it"],
        ),
        (
            "[site]",
            '[journal]\npath = "sqlite:///j.db"\n[site]',
            "2: journal.path: must be a path, not an address",
            ["it looks like /var/lib/gatectl/…, without file:// or the like"],
        ),
        (
            "[site]",
            '[control]\nsocket = "127.0.0.1:9000"\n[site]',
            "2: control.socket: must be the path of a Unix socket",
            ["the daemon listens on no port; leave it out"],
        ),
        (
            "[site]",
            '[gpio]\nchip = "dev/gpiochip4"\n[site]',
            "2: gpio.chip: must be a number, a whole path or a label",
            ['write chip = "/dev/gpiochip4"'],
        ),
        # Units, words and keys of other programs.
        (
            GYM_ID,
            f"{GYM_ID}\nbudget_ms = 2",
            "8: partners.wellhub.budget_ms: must be a whole number, 50 to 30000",
            [MS],
        ),
        (
            GYM_ID,
            f'{GYM_ID}\nbudget_ms = "2s"',
            "8: partners.wellhub.budget_ms: must be a whole number, 50 to 30000, without quotes",
            [MS],
        ),
        (
            RELAY,
            'relay = { pin = "GPIO17" }',
            "30: doors.main.relay.pin: must be a whole number, 0 to 53, without quotes",
            ["it is the BCM number, 17 for GPIO17, and not the place on the header"],
        ),
        (
            RELAY,
            "relay = { pin = 17, active_low = true }",
            "30: doors.main.relay.active_low: is not a known key",
            ["for a relay board that a low level switches on, write active_high = false"],
        ),
        (
            PORT,
            f'{PORT}\nparity = "even"',
            "36: doors.main.scanners[0].parity: is not a known key",
            ['data bits, parity and stop bits are one setting: mode = "7E1"'],
        ),
        (
            PORT,
            f"{PORT}\nrtscts = true",
            "36: doors.main.scanners[0].rtscts: is not a known key",
            ['flow control is flow = "rts-cts" or "xon-xoff"'],
        ),
        (
            "[site]",
            "[monitor]\nport = 8480\n[site]",
            "2: monitor.port: is not a known key",
            ['the port is the second half of listen: listen = "127.0.0.1:8480"'],
        ),
        (
            'type = "evdev"',
            'type = "usb"',
            "38: doors.main.scanners[1].type: must be 'serial' or 'evdev'",
            [TYPES],
        ),
        (
            'type = "evdev"',
            'type = "wiegand"',
            "38: doors.main.scanners[1].type: must be 'serial' or 'evdev'",
            [f"{TYPES}; for others there are converters to one of them"],
        ),
        (
            'protocol = "wellhub"',
            'protocol = "gympass"',
            (
                "6: partners.wellhub.protocol: "
                "must be 'perfectgym', 'wellhub', 'capitan', 'device-api' or 'http'"
            ),
            ["Gympass is Wellhub now: did you mean wellhub?"],
        ),
        (DEVICE, "", f"37: doors.main.scanners[1]: {ONE_NAME}", ["`gatectl devices` prints it"]),
        (
            DEVICE,
            f'{DEVICE}\nname = "Scanner"',
            f"37: doors.main.scanners[1]: {ONE_NAME}",
            ["`gatectl devices` prints it"],
        ),
        (
            DEVICE,
            'bluetooth = "00:1A:7D:DA:71"',
            "39: doors.main.scanners[1].bluetooth: must be a Bluetooth address, such as 00:1A:7D:DA:71:13",
            ["`bluetoothctl devices` lists them"],
        ),
        (
            DEVICE,
            'name = "Scanner"\n[[doors.main.scanners]]\ntype = "evdev"\nname = "scanner"',
            "42: doors.main.scanners[2].name: is the same device as doors.main.scanners[1].name",
            ["each scanner needs a device of its own"],
        ),
        (
            DEVICE,
            f'{DEVICE}\nlayout = "de_DE"',
            f"40: doors.main.scanners[1].layout: must be {LAYOUTS}",
            ["did you mean de?"],
        ),
        (
            DOORS,
            'doors = "main"',
            "27: routes[1].doors: must be a list",
            [BRACKETS, "leave it out for a route at every door"],
        ),
        # TOML.
        (
            RELAY,
            "relay = { pin = 17, active_high = True }",
            "30: toml: invalid value, at column 35",
            ["write true or false, in small letters"],
        ),
        (
            GYM_ID,
            f"{GYM_ID}\nsend_custom_code = yes",
            "8: toml: invalid value, at column 20",
            ["write true or false, in small letters"],
        ),
        (
            GYM_ID,
            f"{GYM_ID};",
            "7: toml: expected newline or end of document after a statement, at column 16",
            ["a line ends without a semicolon"],
        ),
        (
            GYM_ID,
            'gym_id: "0123"',
            "7: toml: expected '=' after a key in a key/value pair, at column 7",
            ["write = between a key and its value"],
        ),
        (
            GYM_ID,
            "gym_id = \u201c0123\u201d",
            "7: toml: invalid value, at column 10",
            ['the quotes are those of a word processor: type them again as "'],
        ),
        (
            GYM_ID,
            'gym_id =\u00a0"0123"',
            "7: toml: invalid value, at column 9",
            ["a blank there is a non-breaking one: type it again"],
        ),
        (
            GYM_ID,
            f"{GYM_ID} // ours",
            "7: toml: expected newline or end of document after a statement, at column 17",
            ["a comment begins with #"],
        ),
        (
            "[doors.main]",
            "[doors.main gate]",
            "29: toml: expected ']' at the end of a table declaration, at column 13",
            [HEADER],
        ),
    ],
)
def test_it_is_refused(write, refusal, old, new, what, hints):
    path = write(old, new)
    assert refusal(path).lines() == [f"{path}:{what}", *(f"hint: {hint}" for hint in hints)]


def test_half_a_door_under_another_spelling(write, refusal):
    (problem,) = refusal(
        write('[[doors.main.scanners]]\ntype = "serial"', '[[doors.Main.scanners]]\ntype = "serial"')
    ).problems
    assert (problem.line, problem.key, problem.what) == (33, "doors.Main.relay", "is missing")
    assert problem.hints[0] == "did you mean main?"


def test_a_partners_name_with_a_dot(write, refusal):
    problems = refusal(write("[partners.capitan]", "[partners.capi.tan]")).problems
    assert [(problem.line, problem.key) for problem in problems] == [
        (16, "partners.capi.protocol"),
        (16, "partners.capi.key"),
    ]
    assert problems[0].hints == ('a name with a dot needs quotes: [partners."capi.tan"]',)


@pytest.mark.usefixtures("key_file")
@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("Bearer s3cr3t", "begins with the word Bearer"),
        ("token\ts3cr3t\n", "begins with the word token"),
        ('"s3cr3t"', "the key is in quotes"),
        ("'s3cr3t'\n", "the key is in quotes"),
    ],
)
def test_a_key_with_something_around_it(write, refusal, key_file, content, what):
    key_file.write_text(content)
    error = refusal(write(), {})
    assert {problem.what for problem in error.problems} == {what}
    assert not any("s3cr3t" in line for line in error.lines())


@pytest.mark.parametrize("key", ["Bearer", "Bearers3cr3t", "token=s3cr3t", '"', "it's"])
def test_a_key_that_only_looks_so(write, key_file, key):
    key_file.write_text(key)
    assert load_with_keys(write(), {})[1]["wellhub"].key.value == key


@pytest.mark.parametrize(
    ("old", "new", "warning"),
    [
        (MATCH, "match = 'WP-*'", "routes[0].match: takes any number of '-' at its end; any text is .*"),
        (MATCH, r"match = '\d{12}'", f"{NO_MEMBER}wellhub can have: 13 digits"),
        (MATCH, r"match = 'GP(?P<member>\d{5})'", f"{NO_MEMBER}wellhub can have: 13 digits"),
        (MATCH, "match = '.*'", f"routes[1]{NEVER}"),
        (
            MATCH,
            f'{MATCH}\npartner = "capitan"\n[[routes]]\n{MATCH}',
            f"routes[1]{NEVER}",
        ),
        (
            URL,
            'url = "https://a.example"',
            "partners.wellpass.url: has no path; perfectgym wants the whole address",
        ),
        (
            'protocol = "capitan"',
            'protocol = "capitan"\nurl = "https://a.example/api/"',
            "partners.capitan.url: ends in /api, which gatectl adds to each request",
        ),
        (
            GYM_ID,
            f'{GYM_ID}\nstatus_page = "status.a.example"',
            "partners.wellhub.status_page: 'status.a.example' is no address that a browser can open",
        ),
        (RELAY, "relay = { pin = 40 }", f"doors.main.relay.pin: BCM 40 {OFF_HEADER}"),
        ("red = 23", "red = 36", f"doors.main.signals.red: BCM 36 {OFF_HEADER}"),
        (PORT, f"{PORT}\nbaud = 9601", "doors.main.scanners[0].baud: 9601 is no usual speed"),
        (
            'aggregator_id = "fitco-4711"\n',
            "",
            NO_CUSTOMER,
        ),
    ],
)
def test_it_works_and_is_warned_of(write, old, new, warning):
    assert warnings_of(load(write(old, new))) == [warning]


@pytest.mark.parametrize(
    "new",
    [
        r"match = '(?P<member>\d{13})'",
        r"match = '^\d{13}$'",
        r"match = 'X(?P<member>\d+)?'",
        r"match = '[/]\d{11}[/]'",
        r"match = '\{\d{11}\}'",
        r"match = '[{]\d{12}'",
        r"match = 'A0*\d{12}'",
        r"match = '\\server'",
    ],
)
def test_settings_that_only_look_like_a_mistake(write, new):
    path = write(MATCH, new)
    assert [warning for warning in warnings_of(load(path)) if "no number" not in warning] == []


def test_a_route_is_reached_where_the_one_before_does_not_count(write):
    path = write(
        DOORS,
        'doors = ["main"]\n[[routes]]\nmatch = \'.*\'\npartner = "wellhub"\ndoors = ["main"]\n'
        "[[routes]]\nmatch = 'CAP.*'\npartner = \"capitan\"",
    )
    assert [line for line in warnings_of(load(path)) if "never" in line] == []


def test_a_readers_setting_at_the_door_itself(write, refusal):
    (problem,) = refusal(write("[doors.main]\n", "[doors.main]\nidle_ms = 50\n")).problems
    assert (problem.key, problem.hints) == ("doors.main.idle_ms", ("it is a setting of scanners",))


HOUSE = """
[partners.house]
protocol = "http"
url = "https://example.com/{code}"
key = { file = "key" }
[[partners.house.answers]]
status = 200
verdict = "allowed"
"""
OUTSIDE = """
[doors.outside]
hold_open = "noon"
closed = "night"
relay = { pin = 5, continuous = true }
passage = { pin = 6 }
return_min = 5
scanners = [{ type = "serial", port = "/dev/ttyS8" }]
[schedules.noon]
mon-sun = ["12:00-13:00"]
[schedules.night]
mon-sun = ["22:00-24:00"]
"""
WAY = """
[partners.way]
protocol = "device-api"
url = "https://example.com"
key = { file = "key" }
proxy = "http://proxy.example.com:3128"
proxy_key = { file = "key" }
client_certificate = "client.crt"
client_key = { file = "key" }
check_in = "admission"
"""
MORE = HOUSE + OUTSIDE + WAY
"""Settings that need one another, besides those of the good file."""


@pytest.mark.parametrize(
    ("right", "mistyped", "key"),
    [
        ("[partners.wellhub]", "[partner.wellhub]", "partner"),
        (
            "[[routes]]\nmatch = '\\d{13}'\npartner",
            "[[routes]]\nmatch = '\\d{13}'\npartners",
            "routes[0].partners",
        ),
        ("[[routes]]\nmatch = '\\d{13}'", "[[routes]]\nmach = '\\d{13}'", "routes[0].mach"),
        ("[doors.main]\nrelay", "[doors.main]\nrealy", "doors.main.realy"),
        ("[doors.main]\n", "[door.main]\n", "door"),
        ("relay = { pin = 17 }", "relay = { pins = 17 }", "doors.main.relay.pins"),
        ('port = "/dev/ttyS7"', 'ports = "/dev/ttyS7"', "doors.main.scanners[0].ports"),
        ('gym_id = "0123"', 'gymid = "0123"', "partners.wellhub.gymid"),
        ('gym_id = "0123"\nkey', 'gym_id = "0123"\napi_key', "partners.wellhub.api_key"),
        ('{code}"\nkey', '{code}"\nkeys', "partners.house.keys"),
        ("[[partners.house.answers]]", "[[partners.house.answer]]", "partners.house.answer"),
        ("status = 200\nverdict", "status = 200\nverdikt", "partners.house.answers[0].verdikt"),
        ("status = 200", "statsu = 200", "partners.house.answers[0].statsu"),
        ("proxy = ", "proxi = ", "partners.way.proxi"),
        ("client_certificate", "client_certifikate", "partners.way.client_certifikate"),
        ("client_key", "client_keys", "partners.way.client_keys"),
        ("continuous", "continous", "doors.outside.relay.continous"),
        ("passage = ", "pasage = ", "doors.outside.pasage"),
        ("[schedules.noon]", "[schedule.noon]", "schedule"),
    ],
)  # fmt: skip
def test_a_mistyped_key_is_one_problem(write, refusal, right, mistyped, key):
    good = write().read_text() + MORE
    assert good.count(right) == 1
    text = good.replace(right, mistyped)
    if key == "schedule":
        text = text.replace("[schedules.night]", "[schedule.night]")
    if key == "partner":
        text = text.replace("[partners.", "[partner.").replace("[[partners.", "[[partner.")
    (problem,) = refusal(write(text=text)).problems
    assert (problem.key, problem.what) == (key, "is not a known key")
    assert text.splitlines()[problem.line - 1].find(key.rpartition(".")[2].partition("[")[0]) >= 0


def test_a_mistyped_key_hides_no_other_problem(write, refusal):
    good = write().read_text() + MORE
    text = good.replace("[schedules.noon]", "[schedules.morning]").replace("proxy = ", "proxi = ")
    assert [problem.key for problem in refusal(write(text=text)).problems] == [
        "doors.outside.hold_open",
        "partners.way.proxi",
    ]


@pytest.mark.parametrize(
    ("right", "mistyped", "key"),
    [
        ('protocol = "wellhub"', 'protocl = "wellhub"', "partners.wellhub.protocol"),
        ('type = "serial"', 'tipe = "serial"', "doors.main.scanners[0].type"),
    ],
)
def test_a_mistyped_protocol_or_type_is_named(write, refusal, right, mistyped, key):
    (problem,) = refusal(write(right, mistyped)).problems
    assert problem.key == key
    assert problem.what.startswith("is missing: it must be ")
    assert problem.hints == (f"{mistyped.split()[0]} is not a known key: write {right.split()[0]}",)
