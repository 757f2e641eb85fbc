"""Certificates of gates and of strangers, and clients that show them to the broker."""

import asyncio
import contextlib
import signal
import ssl
import subprocess
import sys
import time

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from virtual_gate import WAIT_S, VirtualGate

from gatectl.fleet.authority import CertificateAuthority, pem_of_key


def request_of(name, key=None):
    """A certificate request with this name, and its key, both as PEM."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM), pem_of_key(key)


def enrol(office, device, authority=None):
    """Have a device's certificate signed (by a foreign authority, if given); return its TLS context."""
    request, key = request_of(device)
    certificate = CertificateAuthority(authority or office).sign(request)[1]
    (office / f"{device}.key").write_bytes(key)
    (office / f"{device}.crt").write_bytes(certificate)
    return context_of(office, device)


def context_of(office, name):
    """The TLS context of a client with the certificate NAME.crt in the folder; None: without one."""
    context = ssl.create_default_context(cafile=office / "ca.crt")
    if name:
        context.load_cert_chain(office / f"{name}.crt", office / f"{name}.key")
    return context


class IngestProcess:
    """`gatectl fleet ingest` as a process of its own."""

    def __init__(self, office, log="ingest.log"):
        self._office = office
        self._process = None
        self.log = office / log

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Return when it takes in events."""
        before = len(self.lines())
        self.launch()
        until_s = time.monotonic() + WAIT_S
        while not any("taking in events" in line for line in self.lines()[before:]):
            assert time.monotonic() < until_s, self.lines()
            time.sleep(0.02)

    def launch(self):
        command = [sys.executable, "-m", "gatectl", "fleet", "ingest", "-c", self._office / "fleet.toml"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL)

    @property
    def pid(self):
        return self._process.pid

    @contextlib.contextmanager
    def paused(self):
        """It takes nothing meanwhile."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def stop(self, how=signal.SIGTERM):
        """End it by this signal; return its exit status."""
        self._process.send_signal(how)
        return self._process.wait(WAIT_S)

    def lines(self):
        return self.log.read_text().splitlines() if self.log.exists() else []


class Fleet:
    """A head office with its broker, ingest and database."""

    def __init__(self, broker, ingest, office, database):
        self.broker, self.ingest, self.office, self.database = broker, ingest, office, database

    def gate(self, device, journal=None, kind=VirtualGate):
        return kind(self.broker, enrol(self.office, device), device, journal)

    def rows(self, query, *values):
        with psycopg.connect(self.database, autocommit=True) as connection:
            return connection.execute(query, values).fetchall()

    def ids(self, device):
        return [row[0] for row in self.rows("SELECT id::text FROM event WHERE device = %s", device)]

    def has_all(self, gate):
        return gate.journal.ids() <= set(self.ids(gate.device))

    def marks(self):
        return self.rows("SELECT generation, mark FROM journal ORDER BY device, generation")

    def alarms(self):
        return [row[0] for row in self.rows("SELECT kind FROM alarm ORDER BY kind")]


@contextlib.asynccontextmanager
async def running(*gates):
    """The gates are connected, as far as there is a broker."""
    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(gate.run()) for gate in gates]
        yield
        for task in started:
            task.cancel()


async def caught_up(*gates):
    """Return when every event of every gate is committed."""
    await until(lambda: all(gate.mark == gate.journal.last for gate in gates))


async def until(condition, *, within_s=WAIT_S):
    """Return when the condition holds."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)
