"""`gatectl uplink` as a process of its own, over a real journal."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

from fleet_rig import enrol
from limits import NET_S
from records import record

from gatectl.journal.schema import open_store, transaction

WAIT_S = NET_S

SETTINGS = """
[site]
tenant = "FitCo GmbH"
studio = "Berlin Mitte"

[journal]
path = "{folder}/journal.db"

[control]
socket = "{folder}/control.sock"

[uplink]
url = "mqtts://127.0.0.1:{port}"
device = "{device}"
certificate = "{folder}/device.crt"
key = {{ file = "{folder}/device.key" }}
ca_file = "{office}/ca.crt"
{members}

[partners.house]
protocol = "http"
url = "http://127.0.0.1:1/{{code}}"
auth = "none"
answers = [{{ status = 200, verdict = "allowed" }}]

[[routes]]
match = ".*"
partner = "house"

[doors.main]
relay = {{ pin = 17 }}
[[doors.main.scanners]]
type = "serial"
port = "{folder}/scanner"
"""


class UplinkGate:
    """A gate's folder with its settings, its certificate and its journal; `start` starts the uplink."""

    def __init__(self, folder, office, port, device="berlin-1", members=None, authority=None):
        folder.mkdir(exist_ok=True)
        self.folder, self.device = folder, device
        enrol(office, device, authority)
        for ending in ("crt", "key"):
            (folder / f"device.{ending}").write_bytes((office / f"{device}.{ending}").read_bytes())
            (folder / f"device.{ending}").chmod(0o640)
        self.pseudonym_key = secrets.token_bytes(32)
        key = folder / "pseudonym"
        key.write_text(self.pseudonym_key.hex())
        key.chmod(0o640)
        self.settings = folder / "uplink.toml"
        members = members or f'pseudonym_key = {{ file = "{key}" }}'
        self._fields = {"folder": folder, "office": office, "device": device, "members": members}
        self.connect_to(port)
        self.journal = folder / "journal.db"
        self.log = folder / "uplink.log"
        self.count = self.last = 0
        self._process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self._process is not None:
            assert self.stop() == 0, self.log.read_text()

    @property
    def environ(self):
        environ = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
        return environ | {"RUNTIME_DIRECTORY": str(self.folder)}

    @property
    def pid(self):
        return self._process.pid

    def command(self, *words):
        return [sys.executable, "-m", "gatectl", "uplink", "-c", str(self.settings), *words]

    def connect_to(self, port):
        """Use this port of the broker, from the next start on."""
        self.settings.write_text(SETTINGS.format(port=port, **self._fields))

    def send_signal(self, number):
        self._process.send_signal(number)

    def start(self):
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stderr=log, stdout=log, stdin=subprocess.DEVNULL, env=self.environ
            )

    def stop(self, how=signal.SIGTERM):
        process, self._process = self._process, None
        process.send_signal(how)
        return process.wait(WAIT_S)

    def run(self, *words):
        command = self.command(*words)
        return subprocess.run(command, check=False, capture_output=True, text=True, env=self.environ)

    def scan(self, count=1, **changes):
        """Finish so many scans; return their IDs."""
        connection = open_store(self.journal)
        with transaction(connection):
            numbers = range(self.count + 1, self.count + count + 1)
            ids = [record(connection, number, **changes).attempt.id for number in numbers]
        connection.close()
        self.count += count
        self.last += count
        return ids

    def status(self):
        """Return the output of `gatectl uplink status --json`; empty where there is none."""
        path = self.folder / "status.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def wait(self, condition, within_s=WAIT_S):
        """Return once the status is so."""
        until_s = time.monotonic() + within_s
        while not condition(self.status()):
            assert time.monotonic() < until_s, (self.status(), self.log.read_text())
            time.sleep(0.02)

    def has_sent_all(self, status):
        return status.get("connected") and status["mark"] == self.last


def peak_kib(pid):
    """The most memory that a process has had, in KiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0])
