"""The failure of an exchange with a partner, and how errors of sockets and of TLS become one."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime
from typing import Any

from gatectl.decision.outcomes import Fault


class ExchangeFailed(Exception):
    """The exchange failed; holds the fault, and its cause in a technician's words."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail


class TunnelRefused(ExchangeFailed):
    """A proxy refuses the tunnel: its rules, or the name and password, are not changed in seconds."""


def failure_of(error: OSError, where: str = "", tls: ssl.SSLObject | None = None) -> ExchangeFailed:
    """Classify an error of the socket or of TLS (ssl.SSLError is an OSError).

    `where` is the partner's address, and `tls` the TLS object of a failed handshake.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return ExchangeFailed(Fault.TLS, _flaw_of_certificate(error, tls))
    if isinstance(error, ssl.SSLError):
        reason = error.reason or "no cause given"
        words = reason.lower().replace("_", " ")
        if reason in _WANTS_CERTIFICATE:
            return ExchangeFailed(Fault.TLS, "the partner wants a client certificate")
        if reason in _REFUSES_CERTIFICATE:
            return ExchangeFailed(Fault.TLS, f"the partner refuses our certificate: {words}")
        return ExchangeFailed(Fault.TLS, f"TLS failed: {words}")
    what = os.strerror(error.errno).lower() if error.errno else "no connection"
    return ExchangeFailed(Fault.NETWORK, f"{what} ({where})" if where else what)


_WANTS_CERTIFICATE = frozenset({"TLSV13_ALERT_CERTIFICATE_REQUIRED"})
_REFUSES_CERTIFICATE = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV1_ALERT_ACCESS_DENIED",
    }
)
"""OpenSSL's names of the alerts about a client's certificate (RFC 8446, section 6.2)."""

_NOT_YET_VALID, _EXPIRED, _WRONG_NAME, _WRONG_ADDRESS = 9, 10, 62, 64
"""OpenSSL's X509_V_ERR_... (X509_STORE_CTX_get_error(3))."""


def _flaw_of_certificate(error: ssl.SSLCertVerificationError, tls: ssl.SSLObject | None) -> str:
    match error.verify_code:
        case code if code == _EXPIRED:
            ends = _dates(tls, "notAfter")
            return f"certificate expired on {ends[0]}" if ends else "certificate expired"
        case code if code == _NOT_YET_VALID:
            begins = _dates(tls, "notBefore")
            return f"certificate not yet valid (from {begins[-1]})" if begins else "certificate not yet valid"
        case code if code in {_WRONG_NAME, _WRONG_ADDRESS}:
            return "certificate is for another name"
        case _:
            return f"certificate not trusted: {error.verify_message}"


def _dates(tls: ssl.SSLObject | None, which: str) -> list[str]:
    """Return the dates of the certificates that the partner presented, earliest first."""
    # The public way to an unverified chain comes with Python 3.13, and lacks its dates.
    inner: Any = getattr(tls, "_sslobj", None)
    chain = inner.get_unverified_chain() if hasattr(inner, "get_unverified_chain") else ()
    ends = sorted(ssl.cert_time_to_seconds(certificate.get_info()[which]) for certificate in chain or ())
    return [datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%d") for end in ends]
