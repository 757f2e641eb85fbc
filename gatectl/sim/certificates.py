"""Certificates for this machine's names, made new each time: a good leaf, and the ones to refuse.

The names are `localhost`, `127.0.0.1` and `::1`. The private keys do not outlive the process.
"""

from __future__ import annotations

import ssl
import warnings
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import trustme

NAMES = ("localhost", "127.0.0.1", "::1")


class Leaf(StrEnum):
    """The certificate that the server shows."""

    GOOD = "good"
    EXPIRED = "expired"
    OTHER_NAME = "other-name"
    UNKNOWN_CA = "unknown-ca"
    OLD_TLS = "tls-1.1"


class _TellingObject(ssl.SSLObject):
    """Sends the alert of a failed handshake; asyncio would close without it.

    A real server sends the reason of its refusal. "Want read" makes asyncio write the waiting bytes, which
    are the alert; the failure itself follows at the next byte, or the client closes.
    """

    _failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self._failure = error
            raise ssl.SSLWantReadError from error


class Authority:
    """A certificate authority; a client must trust `pem`."""

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self.pem: bytes = self._ca.cert_pem.bytes()

    def server_context(self, leaf: Leaf = Leaf.GOOD) -> ssl.SSLContext:
        """The context of a server that shows this leaf, with TLS 1.2 or higher but for `OLD_TLS`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sslobject_class = _TellingObject
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._issue(leaf).configure_cert(context)
        if leaf is Leaf.OLD_TLS:
            _only_tls_1_1(context)
        return context

    def _issue(self, leaf: Leaf) -> trustme.LeafCert:
        match leaf:
            case Leaf.EXPIRED:
                return self._ca.issue_cert(*NAMES, not_after=datetime.now(UTC) - timedelta(days=1))
            case Leaf.OTHER_NAME:
                return self._ca.issue_cert("other.example.com")
            case Leaf.UNKNOWN_CA:
                return trustme.CA().issue_cert(*NAMES)
            case _:
                return self._ca.issue_cert(*NAMES)


def _only_tls_1_1(context: ssl.SSLContext) -> None:
    """Allow only TLS 1.1; OpenSSL 3 accepts its signatures only at security level 0."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        # It is here because it is deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
