"""The fleet's own certificate authority: it signs the broker's, ingest's and each device's certificate.

All keys are ECDSA P-256. A device makes its key itself and sends a request (PKCS #10, RFC 2986); of the
request only the name and the public key are taken over. The folder also holds each certificate that was
issued, and the list of the revoked ones (RFC 5280), which the broker reads.
"""

from __future__ import annotations

import glob
import ipaddress
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gatectl.errors import SUDO, GatectlError

CERTIFICATE = "ca.crt"
KEY = "ca.key"
REVOKED = "ca.crl"
ISSUED = "issued"

DEVICE = re.compile(r"[a-z0-9-]{1,64}")
"""The name of a device: its certificate's CN, its user name at the broker and a level of its topics."""

INGEST = "Head-Office"
"""The CN of ingest. It is no device's name, so that no signed request can become ingest."""

CA_DAYS = 20 * 365
"""The authority's end, and that of the list of revoked certificates: an expired list locks everyone out."""
LEAF_DAYS = 2 * 365
"""A device's. The broker's and ingest's last as long as the authority: their end would cut off the whole
fleet on one day."""

CLOCK_BEHIND = timedelta(days=1)
"""Certificates are valid from a day ago, for devices whose clock is not yet right."""

_BACKUP = "take it from a backup"

REQUEST_MAX = 65_536
"""Bytes of a certificate request, which has about one thousand."""
RSA_BITS_LEAST = 2048
"""OpenSSL refuses shorter ones in a handshake (SSL_CTX_set_security_level(3), level 2)."""
_REQUEST_HINT = "`gatectl uplink csr` makes one at the gate"


class CertificateRefused(GatectlError):
    """A request is not signed, or a name is not the fleet's."""


class CertificateAuthority:
    """The authority in a folder: `ca.crt` and `ca.key`, `ca.crl`, and `issued/`."""

    def __init__(self, folder: Path) -> None:
        """Load it. Raises GatectlError if it is not there or cannot be read."""
        self._folder = folder
        try:
            self._certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
            key = serialization.load_pem_private_key((folder / KEY).read_bytes(), password=None)
        except FileNotFoundError as error:
            raise GatectlError(
                f"{error.filename} does not exist",
                "`gatectl fleet init DIR` makes an authority; -c DIR/fleet.toml names its folder",
            ) from None
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            line = " ".join(str(error).split())
            raise GatectlError(f"{folder}: {CERTIFICATE} and {KEY} cannot be read: {line}", _BACKUP) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise GatectlError(f"{folder / KEY} is not the key that `gatectl fleet init` made", _BACKUP)
        self._key = key

    @classmethod
    def create(cls, folder: Path) -> CertificateAuthority:
        """Make a new authority in a folder that has none, with an empty list of revoked certificates."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gatectl fleet")])
        builder = _builder(name, name, key.public_key(), CA_DAYS)
        usage = _key_usage(signs_certificates=True)
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        write_private(folder / KEY, pem_of_key(key))
        (folder / CERTIFICATE).write_bytes(_pem(certificate))
        (folder / ISSUED).mkdir(exist_ok=True)
        authority = cls(folder)
        authority._write_revoked([])
        return authority

    def issue_server(self, names: Iterable[str]) -> tuple[bytes, bytes]:
        """Return a new key and a certificate for a server with these names and addresses, both as PEM."""
        names = list(names)
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        purpose = ExtendedKeyUsageOID.SERVER_AUTH
        builder = self._leaf(names[0][:64], key.public_key(), purpose, CA_DAYS)
        certificate = builder.add_extension(alternatives, critical=False).sign(self._key, hashes.SHA256())
        return pem_of_key(key), _pem(certificate)

    def issue_ingest(self) -> tuple[bytes, bytes]:
        """Return a new key and a certificate for ingest, both as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._leaf(INGEST, key.public_key(), ExtendedKeyUsageOID.CLIENT_AUTH, CA_DAYS)
        return pem_of_key(key), _pem(builder.sign(self._key, hashes.SHA256()))

    def sign(self, request: bytes) -> tuple[str, bytes]:
        """Return the device's name and its certificate as PEM for a request; raises CertificateRefused."""
        device, public_key = _checked(request)
        builder = self._leaf(device, public_key, ExtendedKeyUsageOID.CLIENT_AUTH)
        certificate = builder.sign(self._key, hashes.SHA256())
        kept = self._folder / ISSUED / f"{device}.{certificate.serial_number:x}.crt"
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(_pem(certificate))
        return device, _pem(certificate)

    def valid_until(self, device: str) -> dict[int, datetime]:
        """Return the end of each certificate of a device that is in force, by its serial number."""
        now = datetime.now(UTC)
        revoked = {entry.serial_number for entry in self._revoked()}
        return {
            certificate.serial_number: certificate.not_valid_after_utc
            for certificate in self._issued(device)
            if certificate.not_valid_after_utc > now and certificate.serial_number not in revoked
        }

    def revoke(self, device: str) -> int:
        """Revoke every certificate of a device; return how many were in force."""
        found = self.valid_until(device)
        now = datetime.now(UTC)
        new = [
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
            for serial in found
        ]
        self._write_revoked([*self._revoked(), *new])
        return len(found)

    def _issued(self, device: str) -> Iterator[x509.Certificate]:
        for path in (self._folder / ISSUED).glob(f"{glob.escape(device)}.*.crt"):
            with suppress(ValueError):
                yield x509.load_pem_x509_certificate(path.read_bytes())

    def _revoked(self) -> list[x509.RevokedCertificate]:
        path = self._folder / REVOKED
        try:
            return list(x509.load_pem_x509_crl(path.read_bytes()))
        except ValueError:
            raise GatectlError(f"{path} is no list of revoked certificates", _BACKUP) from None

    def _write_revoked(self, entries: Iterable[x509.RevokedCertificate]) -> None:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now - CLOCK_BEHIND)
            .next_update(self._certificate.not_valid_after_utc)
        )
        for entry in entries:
            builder = builder.add_revoked_certificate(entry)
        signed = builder.sign(self._key, hashes.SHA256())
        new = self._folder / f"{REVOKED}.new"
        new.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        new.chmod(0o644)  # the broker reads it as a user of its own, whatever root's umask is
        new.replace(self._folder / REVOKED)  # the broker may be reading it

    def _leaf(
        self,
        name: str,
        key: CertificatePublicKeyTypes,
        purpose: x509.ObjectIdentifier,
        days: int = LEAF_DAYS,
    ) -> x509.CertificateBuilder:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        own_key = self._key.public_key()
        return (
            _builder(subject, self._certificate.subject, key, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own_key), critical=False)
        )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_BEHIND)
        .not_valid_after(now + timedelta(days=days))
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _checked(request: bytes) -> tuple[str, CertificatePublicKeyTypes]:
    """Return the name and the key of a request that may be signed; raises CertificateRefused."""
    if len(request) > REQUEST_MAX:
        raise CertificateRefused("the file is too large for a certificate request", _REQUEST_HINT)
    try:
        parsed = x509.load_pem_x509_csr(request)
        names = [attribute.value for attribute in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        key = parsed.public_key()
        is_signed = parsed.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        raise CertificateRefused("the file holds no certificate request", _REQUEST_HINT) from None
    if not is_signed:
        raise CertificateRefused("the request is not signed by its own key", "make it again at the gate")
    if len(names) != 1 or not isinstance(names[0], str) or not DEVICE.fullmatch(names[0]):
        raise CertificateRefused(
            "the request's name (CN) is not a device's: " + (", ".join(map(str, names)) or "it has none"),
            "a device's name has 1 to 64 characters of a-z, 0-9 and -",
        )
    is_strong = isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= 256
    if not is_strong and not (isinstance(key, rsa.RSAPublicKey) and key.key_size >= RSA_BITS_LEAST):
        raise CertificateRefused("the request's key is too weak or of an unknown kind", "use ECDSA P-256")
    return names[0], key


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the key in PKCS #8, without a password."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write_private(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a new file that others cannot read; raises GatectlError where there is one already."""
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise GatectlError(f"{path} is there already", "give a folder that has no fleet yet") from None
    except PermissionError:
        raise GatectlError(f"{path}: permission denied", SUDO) from None
    with os.fdopen(file, "wb") as opened:
        opened.write(content)
