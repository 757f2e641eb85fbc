"""`gatectl sim` as a process: what it prints, what it serves, and how it ends."""

import contextlib
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import patient_http
import pytest
from asking import CAPITAN
from limits import NET_S

from gatectl.sim.protocols import PROTOCOLS, catalogue

COMMAND = [sys.executable, "-W", "error", "-m", "gatectl", "sim"]


class Running:
    """The process, and everything that it printed up to its readiness."""

    def __init__(self, process):
        self.process = process
        self.introduction = ""
        while not self.introduction.rstrip().endswith("Ctrl-C ends it."):
            line = process.stdout.readline()
            assert line, process.stderr.read()
            self.introduction += line
        first, _, rest = self.introduction.partition("\n")
        self.ca = Path(first.removeprefix("CA: "))
        toml = [line for line in rest.splitlines() if re.match(r"\[partners|[a-z_]+ = ", line)]
        self.partners = tomllib.loads("\n".join(toml))["partners"]
        self.keys = {name: Path(section["key"]["file"]) for name, section in self.partners.items()}

    def end(self, number=signal.SIGTERM):
        """The rest of stdout, stderr and the exit status."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=NET_S)
        return out, err, self.process.returncode


@contextlib.contextmanager
def running(*arguments, **environment):
    environment = os.environ | {"COLUMNS": "160", "PYTHONUNBUFFERED": ""} | environment
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield Running(process)
        finally:
            process.terminate()  # which removes its folder; a process that has ended stays as it is


def test_it_prints_what_settings_need_serves_and_ends():
    with running() as sim:
        assert sim.partners.keys() == PROTOCOLS.keys()
        keys = {name: path.read_text().strip() for name, path in sim.keys.items()}
        assert {stat.S_IMODE(path.stat().st_mode) for path in sim.keys.values()} == {0o600}
        with patient_http.Client(verify=ssl.create_default_context(cafile=sim.ca), trust_env=False) as http:
            good = http.post(
                sim.partners["perfectgym"]["url"],
                headers={
                    "X-API-Key": keys["perfectgym"],
                    "Content-Type": "application/json; charset=utf-8",
                },
                content='{"aggregatorId": "1001", "customerId": 293123213}',
            )
            url = sim.partners["capitan"]["url"] + CAPITAN + "%1B%5B31mX/"
            unknown = http.post(url, headers={"Authorization": f"Token {keys['capitan']}"})
            refused = http.post(url, headers={"Authorization": "Token secret-of-mine"})
        assert [answer.status_code for answer in (good, unknown, refused)] == [200, 404, 401]
        out, err, status = sim.end()
        printed = sim.introduction + out
        assert (status, err) == (0, "")
        assert [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in out.splitlines()] == [
            "#1 perfectgym POST /checkin-validation 1001: good",
            f"#1 capitan POST {CAPITAN}%1B%5B31mX/ ?[31mX: not found",
            f"#1 capitan POST {CAPITAN}%1B%5B31mX/: refused: 401",
        ]
        assert not [key for key in (*keys.values(), "secret-of-mine") if key in printed]
        assert not sim.ca.parent.exists()


def test_the_whole_catalogue_is_printed_and_nothing_is_coloured():
    with running(NO_COLOR="1", FORCE_COLOR="1") as sim:
        lines = [line.split("│") for line in sim.introduction.splitlines() if line.startswith("│")]
        rows = [tuple(cell.strip() for cell in line[1:5]) for line in lines]
        assert [row[:3] for row in rows] == [
            (entry.protocol, entry.id, entry.description) for entry in catalogue()
        ]
        assert {row[3] for row in rows} == {
            "allowed",
            "not allowed",
            "not found",
            "partner",
            "network",
            "timeout",
            "credentials",
            "configuration",
        }
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]", sim.introduction)


def test_ctrl_c_ends_it_too_and_a_hanging_request_does_not_hold_it():
    with running() as sim:
        key = sim.keys["capitan"].read_text().strip()
        context = ssl.create_default_context(cafile=sim.ca)
        port = httpx.URL(sim.partners["capitan"]["url"]).port
        bare = socket.create_connection(("127.0.0.1", port))
        with context.wrap_socket(bare, server_hostname="localhost") as line:
            line.sendall(
                f"POST {CAPITAN}HANG/ HTTP/1.1\r\nHost: x\r\nAuthorization: Token {key}\r\n\r\n".encode()
            )
            assert sim.process.stdout.readline().endswith("HANG: no answer, ever\n")
            out, err, status = sim.end(signal.SIGINT)
        assert (out, err, status) == ("", "", 0)


def free_port():
    """A port that is free, and that the kernel gives to nobody who asks for any."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in range(lowest - 1, 1024, -1):
        with contextlib.suppress(OSError), socket.socket() as tried:
            tried.bind(("127.0.0.1", port))
            return port
    return pytest.fail("every port is taken")


def test_the_port_is_the_requested_one_and_a_taken_one_is_reported():
    port = free_port()
    with running("--port", str(port)) as sim:
        assert sim.partners["wellhub"]["url"] == f"https://127.0.0.1:{port}"
        second = subprocess.run([*COMMAND, "--port", str(port)], capture_output=True, text=True, check=False)
        assert (second.returncode, second.stdout) == (1, "")
        first, hint = second.stderr.splitlines()
        assert first == f"port {port} is in use"
        assert hint.startswith("hint: ")


@pytest.mark.parametrize("port", ["-1", "65536", "http", "٨"])
def test_values_that_are_no_port_are_wrong_usage(port):
    ended = subprocess.run([*COMMAND, f"--port={port}"], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "is not a port" in ended.stderr


def test_a_reader_who_goes_ends_it():
    with running() as sim:
        sim.process.stdout.close()
        context = ssl.create_default_context(cafile=sim.ca)
        gone = contextlib.suppress(httpx.TransportError)  # it may end before it answers
        with gone, patient_http.Client(verify=context, trust_env=False) as http:
            http.get(sim.partners["wellhub"]["url"])
        assert sim.process.wait(timeout=NET_S) == 128 + signal.SIGPIPE
        assert sim.process.stderr.read() == ""
        assert not sim.ca.parent.exists()
