"""Refused settings, to the letter: line, key, problem and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatectl.config.reader import load

KEY_HINT = (
    'hint: put the key alone into a file with mode 640, and write key = { file = "/etc/gatectl/secrets/%s" }'
)
TWO_BRACKETS = (
    "hint: each scanner is a table of its own, under [[doors.NAME.scanners]] in two brackets; "
    "`gatectl devices` prints it"
)
QUOTES = "hint: text needs quotes, and so do numbers with leading zeros; each setting has its own line"
ONCE = "hint: each key and each [table] is written once; [[routes]] and scanners repeat, in two brackets"
HEADER = (
    "7: partners.wellhub.gym_id: must be visible ASCII characters without blanks, "
    "since it travels in an HTTP header"
)
TYPES = (
    'hint: a reader on a serial port, also over USB, is "serial", one that types like a keyboard is "evdev"'
)
SECTIONS = (
    "hint: known here: site, gpio, journal, control, monitor, uplink, partners, routes, schedules, doors"
)
PIN = "hint: it is the BCM number, 17 for GPIO17, and not the place on the header"
HEADING = 'hint: a table is [doors.NAME] or [[routes]]; a name with blanks needs quotes: [doors."main gate"]'
LOOPBACK = "hint: write https://; http is for this machine alone (localhost, 127.0.0.0/8, ::1)"
PLAIN = "12: partners.wellpass.url: plain http is refused, since the key could be read on the way"
LIKE = 'hint: it looks like "https://api.example.com"'
URL = 'url = "https://api.example.com/checkin"'
MONITOR = (
    "hint: put the password alone into a file with mode 640, and write "
    'password = { file = "/etc/gatectl/monitor-password" }'
)
LISTEN = 'hint: it looks like "127.0.0.1:8480"; "0.0.0.0:8480" listens on every network of this machine'
ZONE = 'hint: it looks like "Europe/Berlin"; `timedatectl list-timezones` lists them'
CHIP = (
    'hint: chip = "auto" finds the chip of a Raspberry Pi\'s header',
    'hint: `gpiodetect` lists the chips with their labels: chip = 0, "/dev/gpiochip0" or "pinctrl-rp1"',
)
PATTERN_HINT = (
    r"hint: a pattern looks like \d{13} or WP-[0-9A-Z]{1,40}; \( and \[ are the characters themselves"
)
MATCH = "match = '\\d{13}'"


ONE_OF = "must be 'perfectgym', 'wellhub', 'capitan', 'device-api' or 'http'"


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        # Addresses.
        (URL, 'url = "http://api.example.com/checkin"', [PLAIN, LOOPBACK]),
        (URL, 'url = "http://128.0.0.1"', [PLAIN, LOOPBACK]),
        (URL, 'url = "http://127.0.0.1.example.com"', [PLAIN, LOOPBACK]),
        (URL, 'url = "http://localhost.example.com"', [PLAIN, LOOPBACK]),
        (URL, 'url = "http://[::2]"', [PLAIN, LOOPBACK]),
        (URL, 'url = "http://[::ffff:127.0.0.1]"', [PLAIN, LOOPBACK]),
        (
            URL,
            'url = "http://localhost@example.com"',
            [
                "12: partners.wellpass.url: must not hold a user name or a password",
                "hint: the partner's key belongs into the file that key names",
            ],
        ),
        (
            URL,
            'url = "https://user:s3cr3t@api.example.com"',
            [
                "12: partners.wellpass.url: must not hold a user name or a password",
                "hint: the partner's key belongs into the file that key names",
            ],
        ),
        (URL, 'url = "https:///checkin"', ["12: partners.wellpass.url: has no valid host", LIKE]),
        (URL, 'url = "https://a..b/"', ["12: partners.wellpass.url: has no valid host", LIKE]),
        (URL, 'url = "https://a:0/"', ["12: partners.wellpass.url: has no valid host", LIKE]),
        (URL, 'url = "https://a:99999/"', ["12: partners.wellpass.url: is not a valid URL", LIKE]),
        (URL, 'url = "https://[::1"', ["12: partners.wellpass.url: is not a valid URL", LIKE]),
        (URL, 'url = "ftp://a/"', ["12: partners.wellpass.url: must begin with https://"]),
        (URL, 'url = "api.example.com"', ["12: partners.wellpass.url: must begin with https://"]),
        (
            URL,
            'url = "https://a/#b"',
            ["12: partners.wellpass.url: must not have a fragment, the part from # on"],
        ),
        (
            URL,
            'url = "https://a /"',
            [
                "12: partners.wellpass.url: must not hold blanks",
                "hint: copy it again, without the text around it",
            ],
        ),
        (
            'gym_id = "0123"',
            'gym_id = "0123"\nurl = "https://a/?b=c"',
            [
                "8: partners.wellhub.url: must not have a query, the part from ? on",
                "hint: the path of each request is added to it",
            ],
        ),
        *(
            (
                'gym_id = "0123"',
                f'gym_id = "0123"\nurl = "https://api.partners.gympass.com{path}"',
                [
                    "8: partners.wellhub.url: must not hold /access/v1, the protocol's own path",
                    "hint: leave out /access/v1 and what follows: gatectl adds it to each request",
                ],
            )
            for path in ("/access/v1/validate", "/access/v1/validate/", "/x/Access/V1", "/access/v1/code/1")
        ),
        *(
            (
                'protocol = "capitan"',
                f'protocol = "capitan"\nurl = "https://api.hellocapitan.com{path}"',
                [
                    "18: partners.capitan.url: must not hold /api/gym-endpoints, the protocol's own path",
                    "hint: leave out /api/gym-endpoints and what follows: gatectl adds it to each request",
                ],
            )
            for path in (
                "/api/gym-endpoints/barcode-check-in/<barcode>/",
                "/api/gym-endpoints/barcode-check-in/12345",
                "/api/gym-endpoints",
            )
        ),
        (
            URL + "\n",
            "",
            [
                "10: partners.wellpass.url: is missing",
                'hint: url = "https://…" is the endpoint that the partner gave',
            ],
        ),
        # Keys in the wrong place.
        (
            'gym_id = "0123"\nkey = { file = "key" }',
            'gym_id = "0123"\nkey = "s3cr3t"',
            [
                "8: partners.wellhub.key: a key must not be in the settings, which others may read",
                KEY_HINT % "wellhub",
            ],
        ),
        (
            'gym_id = "0123"\nkey = { file = "key" }',
            'gym_id = "0123"\nkey = 53237',
            ["8: partners.wellhub.key: must be a table", KEY_HINT % "wellhub"],
        ),
        (
            'gym_id = "0123"',
            'gym_id = "0123"\napi_key = "s3cr3t"',
            [
                "8: partners.wellhub.api_key: is not a known key",
                "hint: a key must not be in the settings",
                KEY_HINT % "wellhub",
            ],
        ),
        (
            'gym_id = "0123"\nkey = { file = "key" }',
            'gym_id = "0123"\nkey = { value = "s3cr3t" }',
            [
                "8: partners.wellhub.key.value: is not a known key",
                "hint: known here: file, credential, env",
            ],
        ),
        (
            'gym_id = "0123"\nkey = { file = "key" }',
            'gym_id = "0123"\nkey = { file = "key", env = "KEY" }',
            [
                "8: partners.wellhub.key: must have exactly one of file, credential and env",
                KEY_HINT % "wellhub",
            ],
        ),
        (
            'gym_id = "0123"\nkey = { file = "key" }',
            'gym_id = "0123"\nkey = {}',
            [
                "8: partners.wellhub.key: must have exactly one of file, credential and env",
                KEY_HINT % "wellhub",
            ],
        ),
        (
            'gym_id = "0123"\nkey = { file = "key" }',
            'gym_id = "0123"',
            ["5: partners.wellhub.key: is missing", KEY_HINT % "wellhub"],
        ),
        # The monitor.
        (
            "",
            '[monitor]\npassword = "s3cr3t"\n',
            [
                "41: monitor.password: a password must not be in the settings, which others may read",
                MONITOR,
            ],
        ),
        (
            "",
            '[monitor]\npassword = { value = "s3cr3t" }\n',
            ["41: monitor.password.value: is not a known key", "hint: known here: file, credential, env"],
        ),
        (
            "",
            "[monitor]\npassword = {}\n",
            ["41: monitor.password: must have exactly one of file, credential and env", MONITOR],
        ),
        (
            "",
            "[monitor]\nlisten = 8480\n",
            ["41: monitor.listen: must be an address and a port, in quotes", LISTEN],
        ),
        *(
            (
                "",
                f'[monitor]\nlisten = "{bad}"\n',
                ["41: monitor.listen: must be an address and a port, in quotes", LISTEN],
            )
            for bad in ("8480", ":8480", "0.0.0.0", "::1:8480", "http://a:1", "a:65536", "a:")
        ),
        *(
            (
                "",
                f'[monitor]\nnames = ["a", "{bad}"]\n',
                [
                    "41: monitor.names[1]: must be a host name alone, without https://, port or path",
                    'hint: as in "gate.example.com"',
                ],
            )
            for bad in ("https://a", "a:80", "a/b", "")
        ),
        *(
            (
                "",
                f'[monitor]\nproxies = ["{bad}"]\n',
                [
                    "41: monitor.proxies[0]: must be the IP address of one proxy",
                    'hint: as in "192.0.2.10"',
                ],
            )
            for bad in ("proxy.example.com", "10.0.0.0/8", "192.0.2.10:80", "")
        ),
        # Time zones and chips.
        (
            'tenant = "FitCo GmbH"',
            'tenant = "FitCo GmbH"\ntimezone = "Europe/Berln"',
            [
                "3: site.timezone: is not a time zone that this machine knows",
                "hint: did you mean Europe/Berlin?",
            ],
        ),
        *(
            (
                'tenant = "FitCo GmbH"',
                f'tenant = "FitCo GmbH"\ntimezone = "{bad}"',
                ["3: site.timezone: is not a time zone that this machine knows", ZONE],
            )
            for bad in ("", "UTC+01:00", "/etc/localtime", "../../etc/passwd")
        ),
        (
            "",
            "[gpio]\nchip = -1\n",
            ["41: gpio.chip: must be a number of 0 or more, a path or a label", *CHIP],
        ),
        (
            "",
            "[gpio]\nchip = true\n",
            ["41: gpio.chip: must be a number of 0 or more, a path or a label", *CHIP],
        ),
        (
            "",
            '[gpio]\nchip = ""\n',
            ["41: gpio.chip: must be a number of 0 or more, a path or a label", *CHIP],
        ),
        (
            "",
            '[gpio]\nchip = "4"\n',
            ["41: gpio.chip: must be a number without quotes, a path or a label", *CHIP],
        ),
        (
            "",
            '[gpio]\nchip = "gpiochip4"\n',
            ["41: gpio.chip: must be a number, a path or a label", 'hint: write chip = "/dev/gpiochip4"'],
        ),
        # Wellhub's number.
        (
            'gym_id = "0123"',
            "gym_id = 123",
            [
                "7: partners.wellhub.gym_id: must be text in quotes",
                "hint: a number loses its leading zeros: write it in quotes",
            ],
        ),
        (
            'gym_id = "0123"',
            'gym_id = "12 3"',
            [
                HEADER,
            ],
        ),
        (
            'gym_id = "0123"\n',
            "",
            [
                "5: partners.wellhub.gym_id: is missing",
                'hint: gym_id = "…" is the number that Wellhub gave this gym, in quotes',
            ],
        ),
        # Choices.
        (
            'protocol = "wellhub"',
            'protocol = "welhub"',
            [
                f"6: partners.wellhub.protocol: {ONE_OF}",
                "hint: did you mean wellhub?",
            ],
        ),
        (
            'protocol = "wellhub"\n',
            "",
            [f"5: partners.wellhub.protocol: is missing: it {ONE_OF}"],
        ),
        (
            'type = "evdev"',
            'type = "hid"',
            ["38: doors.main.scanners[1].type: must be 'serial' or 'evdev'", TYPES],
        ),
        (
            'port = "/dev/ttyS7"',
            'port = "/dev/ttyS7"\nframing = "rdm630"',
            [
                (
                    "36: doors.main.scanners[0].framing: "
                    "must be 'line', 'rdm6300', 'id12la', 'stx-etx' or 'stx-line'"
                ),
                "hint: did you mean rdm6300?",
            ],
        ),
        (
            'port = "/dev/ttyS7"',
            'port = "/dev/ttyS7"\ncard = { read = "hexa", bytes = 11, order = "back", writes = "hex" }',
            [
                "36: doors.main.scanners[0].card.read: must be 'hex' or 'decimal'",
                "hint: did you mean hex?",
                "36: doors.main.scanners[0].card.bytes: must be a whole number, 1 to 10",
                "36: doors.main.scanners[0].card.order: must be 'as-read' or 'reversed'",
                "36: doors.main.scanners[0].card.writes: is not a known key",
                "hint: did you mean write?",
            ],
        ),
        (
            'port = "/dev/ttyS7"',
            'port = "/dev/ttyS7"\nmode = "8-N-1"',
            [
                "36: doors.main.scanners[0].mode: must be data bits, parity and stop bits, as in 8N1",
                'hint: 7 or 8; N none, E even, O odd, M mark or S space; 1 or 2: "7E1", "8N1"',
            ],
        ),
        # Unknown keys, and keys in the wrong table.
        (
            "[doors.main]",
            "[doors.main]\nexit = { opne_ms = 1 }\ncontact = { pin = 5, heldd_s = 1 }",
            [
                "30: doors.main.exit.opne_ms: is not a known key",
                "hint: did you mean open_ms?",
                "31: doors.main.contact.heldd_s: is not a known key",
                "hint: did you mean held_s?",
            ],
        ),
        (
            'tenant = "FitCo GmbH"',
            'tennant = "FitCo GmbH"',
            ["2: site.tennant: is not a known key", "hint: did you mean tenant?"],
        ),
        (
            "[site]",
            'colour = "red"\n[site]',
            [
                "1: colour: is not a known key",
                SECTIONS,
            ],
        ),
        (
            'aggregator_id = "fitco-4711"',
            'aggregator_id = "fitco-4711"\nsettle_s = 60',
            [
                "14: partners.wellpass.settle_s: is not a known key",
                "hint: it is a setting of wellhub and capitan",
            ],
        ),
        (
            'port = "/dev/ttyS7"',
            'port = "/dev/ttyS7"\nrepeat_ms = 60',
            [
                "36: doors.main.scanners[0].repeat_ms: is not a known key",
                "hint: it is a setting of the door, above its [tables]",
            ],
        ),
        (
            "relay = { pin = 17 }",
            "relay = { pin = 17 }\nopen_ms = 300",
            ["31: doors.main.open_ms: is not a known key", "hint: it is a setting of relay and exit"],
        ),
        (
            'doors = ["main"]',
            'door = ["main"]',
            ["27: routes[1].door: is not a known key", "hint: did you mean doors?"],
        ),
        # Types.
        (
            "relay = { pin = 17 }",
            'relay = { pin = "17" }',
            [
                "30: doors.main.relay.pin: must be a whole number, 0 to 53, without quotes",
                PIN,
            ],
        ),
        (
            "relay = { pin = 17 }",
            "relay = { pin = true }",
            ["30: doors.main.relay.pin: must be a whole number, 0 to 53", PIN],
        ),
        (
            "relay = { pin = 17 }",
            "relay = 17",
            [
                "30: doors.main.relay: must be a table",
                "hint: relay = { pin = 17 } with the relay's BCM number",
            ],
        ),
        (
            "relay = { pin = 17 }",
            "relay = { pin = 17, active_high = 1 }",
            ["30: doors.main.relay.active_high: must be true or false, without quotes"],
        ),
        (
            'port = "/dev/ttyS7"',
            "port = 7",
            ["35: doors.main.scanners[0].port: must be a path in quotes"],
        ),
        ('port = "/dev/ttyS7"', 'port = ""', ["35: doors.main.scanners[0].port: must be a path"]),
        ('port = "/dev/ttyS7"', r'port = "a\u0000b"', ["35: doors.main.scanners[0].port: must be a path"]),
        (
            'studio = "Berlin Mitte"',
            r'studio = "Berlin\nMitte"',
            ["3: site.studio: must not hold line breaks or control characters"],
        ),
        ("[partners.capitan]", '[partners." "]', ['16: partners." ": must not be empty']),
        (
            "[partners.capitan]",
            r'[partners."a\u2028b"]',
            [r'16: partners."a\u2028b": must not hold line breaks or control characters'],
        ),
        # Pins and devices.
        (
            "green = 22",
            "green = 17",
            [
                "31: doors.main.signals.green: pin 17 is already used by doors.main.relay.pin",
                "hint: each relay, input and signal needs a pin of its own",
            ],
        ),
        (
            "/dev/input/by-id/usb-X-event-kbd",
            "/dev/ttyS7",
            [
                "39: doors.main.scanners[1].device: is the same device as doors.main.scanners[0].port",
                "hint: each scanner needs a device of its own",
            ],
        ),
        # Routes.
        (
            'partner = "wellhub"',
            'partner = "wellhubb"',
            ["22: routes[0].partner: there is no partner 'wellhubb'", "hint: did you mean wellhub?"],
        ),
        (
            'doors = ["main"]',
            'doors = [\n  "main",\n  "back",\n]',
            [
                "27: routes[1].doors[1]: there is no door 'back'",
                "hint: name one of the [doors.NAME] tables, or add one",
            ],
        ),
        (
            'doors = ["main"]',
            "doors = []",
            [
                "27: routes[1].doors: must not be empty",
                "hint: leave it out for a route at every door",
            ],
        ),
        (
            MATCH,
            r"match = '(\d{13}'",
            [
                "21: routes[0].match: does not compile: missing ), unterminated subpattern, at character 1",
                PATTERN_HINT,
            ],
        ),
        (
            MATCH,
            "match = 'a{2,1}'",
            [
                "21: routes[0].match: does not compile: min repeat greater than max repeat, at character 3",
                PATTERN_HINT,
            ],
        ),
        (
            MATCH,
            r"match = '(?u)\d'",
            [
                "21: routes[0].match: does not compile: too large, or with flags that do not go with ASCII",
                PATTERN_HINT,
            ],
        ),
        (MATCH, "match = ''", ["21: routes[0].match: must not be empty"]),
        (
            MATCH,
            "match = 13",
            ["21: routes[0].match: must be a pattern in single quotes"],
        ),
        # Doors.
        (
            "relay = { pin = 17 }\n",
            "",
            [
                "29: doors.main.relay: is missing",
                "hint: relay = { pin = 17 } with the relay's BCM number",
            ],
        ),
        (
            "",
            "[doors.side.relay]\npin = 4\n[doors.side.signals]\n",
            ["40: doors.side.scanners: is missing", TWO_BRACKETS],
        ),
        (
            "",
            "[doors.side]\nrelay.pin = 4\nscanners = []\n",
            ["42: doors.side.scanners: must not be empty", TWO_BRACKETS],
        ),
        (
            "",
            "[doors.side]\nrelay.pin = 4\n[doors.side.scanners]\ntype = 'evdev'\n",
            ["42: doors.side.scanners: must be a list", TWO_BRACKETS],
        ),
    ],
)
def test_one_problem(write, refusal, old, new, lines):
    path = write(old, new)
    assert refusal(path).lines() == [line if line.startswith("hint:") else f"{path}:{line}" for line in lines]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            "",
            [
                "1: doors: is missing",
                "hint: a door is a table, [doors.NAME], with a relay and a scanner",
            ],
        ),
        (
            "# none\n[doors]\n",
            [
                "2: doors: must not be empty",
                "hint: a door is a table, [doors.NAME], with a relay and a scanner",
            ],
        ),
        (
            "doors = 3\n",
            [
                "1: doors: must be a table",
                "hint: a door is a table, [doors.NAME], with a relay and a scanner",
            ],
        ),
        (
            "[partners]\nwellhub = 3\n[doors.d]\nrelay.pin = 1\nscanners = ['f']\n",
            ["2: partners.wellhub: must be a table", "5: doors.d.scanners[0]: must be a table"],
        ),
        (
            "[site\n",
            [
                "1: toml: expected ']' at the end of a table declaration, at column 6",
                HEADING,
            ],
        ),
        (
            "[doors.main]\n[doors.main]\n",
            [
                "2: toml: cannot declare doors.main twice, at column 12",
                ONCE,
            ],
        ),
        (
            '[[routes]]\nmatch = "\\d"\n',
            [
                r"2: toml: unescaped '\' in a string, at column 12",
                r"hint: patterns need single quotes, as in match = '\d{13}'",
            ],
        ),
        (
            'key = "s3cr3t\n',
            [
                "1: toml: text is not closed by a quote in its line, at column 14",
                QUOTES,
            ],
        ),
        ("a = " + "9" * 5000, ["1: toml: a number is too long, or brackets are too deep"]),
        ("a = " + "[" * 5000, ["1: toml: a number is too long, or brackets are too deep"]),
    ],
)
def test_a_whole_file(write, refusal, text, lines):
    path = write(text=text)
    assert refusal(path).lines() == [line if line.startswith("hint:") else f"{path}:{line}" for line in lines]


def test_a_file_that_is_not_there(tmp_path, refusal):
    path = tmp_path / "none.toml"
    assert refusal(path).lines() == [
        f"{path}:1: settings: the file does not exist",
        "hint: gatectl reads -c PATH, else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml",
        "hint: scripts/install puts a sample there",
    ]


def test_a_file_that_cannot_be_read(tmp_path, refusal):
    # A folder in its place fails for every user; root may read a file of any mode.
    assert refusal(tmp_path).lines()[0] == f"{tmp_path}:1: settings: the file cannot be read: Is a directory"


def test_a_file_in_another_encoding(tmp_path, refusal):
    path = tmp_path / "gatectl.toml"
    path.write_bytes('[site]\ntenant = "Küche"\n'.encode("latin-1"))
    assert refusal(path).lines() == [f"{path}:2: settings: is not UTF-8", "hint: save the file in UTF-8"]


def test_a_file_as_windows_writes_it(write, refusal):
    path = write()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n").replace(b'"0123"', b"123"))
    (problem,) = refusal(path).problems
    assert (problem.line, problem.key) == (7, "partners.wellhub.gym_id")


def test_the_file_is_named_as_it_was_given(write, refusal, monkeypatch):
    monkeypatch.chdir(write("[site]", "[sight]").parent)
    assert refusal(Path("gatectl.toml")).lines()[0].startswith("gatectl.toml:1: sight: ")


def test_one_device_path_written_in_two_ways(write, refusal, tmp_path):
    (problem,) = refusal(
        write("/dev/input/by-id/usb-X-event-kbd", "../.." + "/.." * len(tmp_path.parts) + "/dev//ttyS7")
    ).problems
    assert problem.key == "doors.main.scanners[1].device"
    assert problem.what == "is the same device as doors.main.scanners[0].port"


def test_two_names_that_lead_to_one_device_are_no_matter_of_the_settings(write, tmp_path):
    (tmp_path / "reader").symlink_to("/dev/ttyS7")
    path = write("/dev/input/by-id/usb-X-event-kbd", "reader")
    assert load(path).doors["main"].scanners[1].device == tmp_path / "reader"


def test_pins_and_devices_are_shared_over_all_doors(write, refusal):
    path = write(
        "",
        """
[doors.side]
relay = { pin = 4 }
signals = { buzzer = 23 }
[[doors.side.scanners]]
type = "evdev"
device = "/dev/ttyS7"
""",
    )
    assert [(problem.key, problem.what) for problem in refusal(path).problems] == [
        ("doors.side.signals.buzzer", "pin 23 is already used by doors.main.signals.red"),
        ("doors.side.scanners[0].device", "is the same device as doors.main.scanners[0].port"),
    ]
