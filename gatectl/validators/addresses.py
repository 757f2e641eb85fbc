"""The kinds of settings that are addresses: URLs, host names, and where the monitor listens."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import SplitResult, urlsplit

from gatectl.validators.values import Validator, is_visible_ascii, refuse, string

_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")  # RFC 1123, and the underscore that occurs in the wild
_LOOPBACK_4 = ipaddress.IPv4Network("127.0.0.0/8")
_LOOPBACK_6 = ipaddress.IPv6Address("::1")
_LISTEN_LIKE = 'it looks like "127.0.0.1:8480"; "0.0.0.0:8480" listens on every network of this machine'
_PORT_MAX = 65_535
_PLACEHOLDER = r"<[\w -]*>|\{[\w -]*\}"
_HTTPS = "[Hh][Tt][Tt][Pp][Ss]://"
_HTTP_HERE = r"[Hh][Tt][Tt][Pp]://(?:[Ll][Oo][Cc][Aa][Ll][Hh][Oo][Ss][Tt]|127\.|\[[0:]+1\])"
"""For JSON Schema, whose patterns have no flags (ECMA-262). Looser than the checks here, never stricter."""


def _url(value: object, _folder: Path) -> str:
    url = valid_url(value)
    _refuse_placeholder(url)
    return url


def _refuse_placeholder(url: str) -> None:
    if ("<" in url or "{" in url) and re.search(_PLACEHOLDER, url, re.ASCII):
        raise refuse("holds a placeholder in < > or { }", "put what the partner gave in its place")


def valid_url(value: object) -> str:
    """Return the URL; raise the error that `refuse` makes for one that cannot be asked, or is plain http."""
    url = string(value)
    if url.split() != [url] and url.strip():
        raise refuse("must not hold blanks", "copy it again, without the text around it")
    if not url or not is_visible_ascii(url):
        raise refuse(
            "must be a URL of visible ASCII characters",
            "a host name with other letters is written in its xn-- form",
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise refuse("is not a valid URL", 'it looks like "https://api.example.com"') from None
    if "@" in parts.netloc:
        raise refuse(
            "must not hold a user name or a password",
            "the partner's key belongs into the file that key names",
        )
    if parts.scheme not in {"http", "https"}:
        raise refuse("must begin with https://")
    if not parts.hostname or port == 0 or not _is_host(parts.hostname) or parts.netloc.endswith(":"):
        raise refuse("has no valid host", 'it looks like "https://api.example.com"')
    if "#" in url:
        raise refuse("must not have a fragment, the part from # on")
    _refuse_plain_http(parts)
    return url


def _refuse_plain_http(parts: SplitResult) -> None:
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise refuse(
            "plain http is refused, since the key could be read on the way",
            "write https://; http is for this machine alone (localhost, 127.0.0.0/8, ::1)",
        )


class _HostUrl(NamedTuple):
    """A kind of URL that has a host and a port alone."""

    scheme: str
    why: str
    """Why it is the only scheme."""
    owner: str
    looks_like: str
    instead_of_user: str
    """Hint: where a name and a password belong."""


_PROXY = _HostUrl(
    "http",
    "only HTTP proxies are supported",
    "proxy",
    'it looks like "http://proxy.example.com:3128"',
    'put name:password alone into a file, and write proxy_key = { file = "…" }',
)
_BROKER = _HostUrl(
    "mqtts",
    "a broker is reached over TLS alone",
    "broker",
    'it looks like "mqtts://broker.example.com:8883"',
    "the certificate says who connects",
)


def _host_and_port(text: str, kind: _HostUrl) -> tuple[str, int | None]:
    """Return the host, and the port where one is given; raises the error that `refuse` makes."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise refuse("is not a valid URL", kind.looks_like) from None
    if parts.scheme != kind.scheme:
        raise refuse(f"must begin with {kind.scheme}://, since {kind.why}", kind.looks_like)
    if "@" in parts.netloc:
        raise refuse("must not hold a user name or a password", kind.instead_of_user)
    host = parts.hostname or ""
    if not is_visible_ascii(text) or port == 0 or not _is_host(host) or parts.netloc.endswith(":"):
        raise refuse("has no valid host", kind.looks_like)
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise refuse(f"must be the {kind.owner}'s host and port alone, without a path", kind.looks_like)
    return host, port


def _proxy(value: object, _folder: Path) -> str:
    """A proxy is asked for a tunnel over plain HTTP; the request inside the tunnel is encrypted."""
    text = string(value)
    _host_and_port(text, _PROXY)
    return text


MQTTS_PORT = 8883
"""Of MQTT over TLS (IANA)."""


def broker_address(url: str) -> tuple[str, int]:
    """Return the host and the port of a broker's URL; raise the error that `refuse` makes for another URL."""
    host, port = _host_and_port(url, _BROKER)
    return host, port or MQTTS_PORT


def _broker_url(value: object, _folder: Path) -> str:
    url = string(value)
    broker_address(url)
    return url


def base_url(own_path: str) -> Validator:
    """The URL of a partner whose protocol adds paths below `own_path` to it by itself."""
    pasted = re.compile(rf".*{own_path}(?:/.*)?", re.IGNORECASE)

    def check(value: object, _folder: Path) -> str:
        url = valid_url(value)
        if "?" in url:
            raise refuse(
                "must not have a query, the part from ? on", "the path of each request is added to it"
            )
        if pasted.fullmatch(urlsplit(url).path):
            raise refuse(
                f"must not hold {own_path}, the protocol's own path",
                f"leave out {own_path} and what follows: gatectl adds it to each request",
            )
        _refuse_placeholder(url)
        return url.rstrip("/")

    return Validator(check, {"type": "string", "pattern": f'^(?:{_HTTPS}|{_HTTP_HERE})[!-"$->@-~]*$'})


def _is_host(host: str) -> bool:
    return _address(host) is not None or (len(host) <= 254 and _HOST.fullmatch(host) is not None)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether it is `localhost`, in 127.0.0.0/8, or ::1; other names that resolve to these do not count."""
    address = _address(host)
    if isinstance(address, ipaddress.IPv4Address):
        return address in _LOOPBACK_4
    return address == _LOOPBACK_6 if address else host.lower() == "localhost"


def host_and_port(text: str) -> tuple[str, int] | None:
    """Split `127.0.0.1:8480`, `[::1]:8480` or `localhost:8480` into host and port; None for other text."""
    host, colon, digits = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    is_port = digits.isascii() and digits.isdigit() and len(digits) <= 5 and int(digits) <= _PORT_MAX
    if not colon or not is_port or not _is_host(bare):
        return None
    is_bare_six = ":" in bare and bare == host
    return None if is_bare_six else (bare, int(digits))


def _listen(value: object, _folder: Path) -> str:
    if not isinstance(value, str) or host_and_port(value) is None:
        raise refuse("must be an address and a port, in quotes", _LISTEN_LIKE)
    return value


DEVICE_PATTERN = r"[a-z0-9-]{1,64}"
"""The name of a gate in a fleet: part of topics, and the CN of its certificate. No dots, which other brokers
read as their own separators."""


def _device(value: object, _folder: Path) -> str:
    text = string(value)
    if not re.fullmatch(DEVICE_PATTERN, text):
        raise refuse("must be 1 to 64 small letters, digits and hyphens", 'as in "berlin-mitte-1"')
    return text


def _host_name(value: object, _folder: Path) -> str:
    text = string(value)
    if not _is_host(text):
        raise refuse("must be a host name alone, without https://, port or path", 'as in "gate.example.com"')
    return text


def _ip_address(value: object, _folder: Path) -> str:
    address = _address(string(value))
    if address is None:
        raise refuse("must be the IP address of one proxy", 'as in "192.0.2.10"')
    return str(address)


URL_PATTERN = f'^(?:{_HTTPS}|{_HTTP_HERE})[!-"$-~]*$'

Url = Annotated[str, Validator(_url, {"type": "string", "pattern": URL_PATTERN})]
ProxyUrl = Annotated[str, Validator(_proxy, {"type": "string", "pattern": "^[Hh][Tt][Tt][Pp]://[!-~]+$"})]
BrokerUrl = Annotated[
    str, Validator(_broker_url, {"type": "string", "pattern": "^[Mm][Qq][Tt][Tt][Ss]://[!-~]+$"})
]
ListenAddress = Annotated[str, Validator(_listen, {"type": "string", "pattern": r"^\S+:[0-9]{1,5}$"})]
DeviceName = Annotated[str, Validator(_device, {"type": "string", "pattern": f"^{DEVICE_PATTERN}$"})]
HostName = Annotated[str, Validator(_host_name, {"type": "string", "pattern": r"^[0-9A-Za-z_.:-]+$"})]
IpAddress = Annotated[str, Validator(_ip_address, {"type": "string", "pattern": "^[0-9A-Fa-f.:]+$"})]
