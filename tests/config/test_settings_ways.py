"""A partner's proxy and client certificate: what is refused, and which partner alone it stops."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trustme

from gatectl.config.certificate_files import expiring
from gatectl.config.problems import SettingsError
from gatectl.config.reader import load_usable, load_with_keys

WELLHUB = 'gym_id = "0123"\nkey = { file = "key" }'
PROXY = 'proxy = "http://proxy.example.com:3128"'
CERTIFICATE = 'client_certificate = "client.crt"\nclient_key = { file = "client.key" }'
AUTHORITY = trustme.CA()
NOW = datetime.now(UTC)


def issue(folder, name="client", **dates):
    leaf = AUTHORITY.issue_cert("gate@gym.example", **dates)
    (folder / f"{name}.crt").write_bytes(leaf.cert_chain_pems[0].bytes())
    put(folder / f"{name}.key", leaf.private_key_pem.bytes())


def put(path, content, mode=0o640):
    path.write_bytes(content)
    path.chmod(mode)


@pytest.fixture
def wellhub(write, key_file):  # noqa: ARG001 - the key is read
    """Writes these lines into the settings of the partner wellhub."""
    return lambda *lines: write(WELLHUB, "\n".join([WELLHUB, *lines]))


def flaws(path, refusal):
    """The problems, by key, each with its hints; all are the partner wellhub's."""
    problems = refusal(path, {}).problems
    assert all(problem.key.startswith("partners.wellhub.") for problem in problems)
    return {
        problem.key.removeprefix("partners.wellhub."): (problem.what, *problem.hints) for problem in problems
    }


def test_a_proxy_with_its_key(wellhub, tmp_path):
    put(tmp_path / "proxy", "gym:mit Ümlaut und Blank\n".encode())
    settings, secrets = load_with_keys(wellhub(PROXY, 'proxy_key = { file = "proxy" }'), {})
    assert settings.partners["wellhub"].proxy == "http://proxy.example.com:3128"
    assert secrets["wellhub"].proxy_key.value == "gym:mit Ümlaut und Blank"
    assert "Ümlaut" not in repr(secrets)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("https://proxy.example.com:3128", "must begin with http://"),
        ("socks5://proxy.example.com", "must begin with http://"),
        ("proxy.example.com:3128", "must begin with http://"),
        ("http://gym:s3cr3t@proxy.example.com:3128", "must not hold a user name or a password"),
        ("http://proxy.example.com:3128/pac", "must be the proxy's host and port alone"),
        ("http://:3128", "has no valid host"),
        ("http://proxy.example.com:99999", "is not a valid URL"),
    ],
)
def test_addresses_that_are_no_proxy(wellhub, refusal, url, what):
    found = flaws(wellhub(f'proxy = "{url}"'), refusal)
    assert list(found) == ["proxy"]
    assert found["proxy"][0].startswith(what)
    assert "s3cr3t" not in str(found)


@pytest.mark.parametrize(
    ("line", "key", "what"),
    [
        ('proxy_key = { file = "key" }', "proxy_key", "has no use without proxy"),
        ('client_certificate = "a.crt"', "client_certificate", "has no use without client_key"),
        ('client_key = { file = "key" }', "client_key", "has no use without client_certificate"),
        (f'{PROXY}\nproxy_key = "gym:s3cr3t"', "proxy_key", "a key must not be in the settings"),
        (
            'client_certificate = "a.crt"\nclient_key = "s3cr3t"',
            "client_key",
            "a key must not be in the settings",
        ),
    ],
)
def test_halves(wellhub, refusal, line, key, what):
    problems = refusal(wellhub(line), {}).problems
    (problem,) = (one for one in problems if one.what.startswith(what))
    assert problem.key == f"partners.wellhub.{key}"
    assert problem.hints
    assert "s3cr3t" not in str(problems)


def test_a_key_in_plain_text_through_somebody_elses_machine(write, refusal, key_file):  # noqa: ARG001
    here = 'url = "http://127.0.0.1:8000/checkin"'
    path = write('url = "https://api.example.com/checkin"', f"{here}\n{PROXY}")
    (problem,) = refusal(path, {}).problems
    assert (problem.key, problem.what) == (
        "partners.wellpass.proxy",
        "would get the key in plain text, since the url is plain http",
    )
    load_with_keys(
        write('url = "https://api.example.com/checkin"', f'{here}\nproxy = "http://[::1]:3128"'), {}
    )


def test_a_certificate_that_is_never_sent(write, refusal):
    plain = 'url = "http://127.0.0.1:8000/checkin"'
    path = write('url = "https://api.example.com/checkin"', f"{plain}\n{CERTIFICATE}")
    (problem,) = refusal(path).problems
    assert problem.key == "partners.wellpass.client_certificate"
    assert problem.what == "is never sent, since the url is plain http"


@pytest.mark.parametrize("content", ["s3cr3t", ":s3cr3t", "gym:a\nb"])
def test_a_proxys_key_without_a_name(wellhub, refusal, tmp_path, content):
    put(tmp_path / "proxy", content.encode())
    found = flaws(wellhub(PROXY, 'proxy_key = { file = "proxy" }'), refusal)
    assert found == {
        "proxy_key.file": ("is not a name and a password", "the file holds name:password on one line")
    }


def test_a_client_certificate(wellhub, tmp_path):
    issue(tmp_path, not_after=NOW + timedelta(days=300))
    settings, secrets = load_with_keys(wellhub(CERTIFICATE), {})
    assert secrets["wellhub"].client_key == tmp_path / "client.key"
    assert list(expiring(settings.partners)) == []


def test_a_client_certificate_that_ends_soon(wellhub, tmp_path):
    ends = NOW + timedelta(days=9, hours=12)
    issue(tmp_path, not_after=ends)
    settings, _ = load_with_keys(wellhub(CERTIFICATE), {})
    (warning,) = expiring(settings.partners)
    when = f"partners.wellhub.client_certificate: it ends in 9 days, on {ends:%Y-%m-%d}"
    assert warning == f"{when}: ask the partner for a new one"


def _expired(folder):
    issue(folder, not_after=NOW - timedelta(days=2))


def _early(folder):
    issue(folder, not_before=NOW + timedelta(days=2), not_after=NOW + timedelta(days=99))


def _other_key(folder):
    issue(folder)
    put(folder / "client.key", AUTHORITY.issue_cert("x@y.example").private_key_pem.bytes())


def _no_key(folder):
    issue(folder)
    put(folder / "client.key", b"not a key")


def _protected(folder):
    issue(folder)
    head = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n"
    body = "AAAAAAAAAAAAAAAAAAAAAA=="
    text = f"-----BEGIN EC PRIVATE KEY-----\n{head}\n{body}\n-----END EC PRIVATE KEY-----\n"
    put(folder / "client.key", text.encode())


def _no_certificate(folder):
    issue(folder)
    (folder / "client.crt").write_text("not a certificate")


def _missing(folder):
    issue(folder)
    (folder / "client.crt").unlink()


def _missing_key(folder):
    issue(folder)
    (folder / "client.key").unlink()


BROKEN = [
    (_expired, "client_certificate", f"expired on {NOW - timedelta(days=2):%Y-%m-%d}"),
    (_early, "client_certificate", f"is not valid before {NOW + timedelta(days=2):%Y-%m-%d}"),
    (_other_key, "client_key", "client.key does not belong to client_certificate"),
    (_no_key, "client_key", "client.key holds no private key that can be read"),
    (_protected, "client_key", "client.key is protected by a password"),
    (_no_certificate, "client_certificate", "client.crt holds no certificate"),
    (_missing, "client_certificate", "client.crt cannot be read: No such file or directory"),
    (_missing_key, "client_key.file", "client.key does not exist"),
]


@pytest.mark.parametrize(("spoil", "key", "what"), BROKEN)
def test_files_that_are_no_client_certificate(wellhub, refusal, tmp_path, spoil, key, what):
    spoil(tmp_path)
    found = flaws(wellhub(CERTIFICATE), refusal)
    assert list(found) == [key]
    assert found[key][0].replace(f"{tmp_path}/", "") == what
    assert len(found[key]) > 1


@pytest.mark.parametrize(("spoil", "key", "what"), BROKEN[2:])
def test_they_stop_their_partner_alone(wellhub, tmp_path, spoil, key, what):
    spoil(tmp_path)
    usable = load_usable(wellhub(CERTIFICATE), {})
    assert set(usable.secrets) == {"wellpass", "capitan"}
    assert list(usable.unusable) == ["wellhub"]
    issue = usable.unusable["wellhub"]
    assert ".".join(map(str, issue.where[2:])) == key
    assert issue.what.endswith(what)


@pytest.mark.parametrize("spoil", [_expired, _early])
def test_a_clock_that_starts_in_the_past_stops_no_partner(wellhub, tmp_path, spoil):
    spoil(tmp_path)
    assert load_usable(wellhub(CERTIFICATE), {}).unusable == {}


def test_a_private_key_that_others_can_read_is_refused_at_any_time(wellhub, tmp_path):
    issue(tmp_path)
    (tmp_path / "client.key").chmod(0o644)
    for read in (load_with_keys, load_usable):
        with pytest.raises(SettingsError) as caught:
            read(wellhub(CERTIFICATE), {})
        assert "can be read by everyone" in caught.value.problems[0].what


def test_a_private_key_in_the_environment(wellhub, refusal):
    found = flaws(wellhub('client_certificate = "a.crt"', 'client_key = { env = "HOME" }'), refusal)
    assert "must be a file or a credential" in found["client_key"][0]


def test_one_partners_key_that_is_missing_stops_it_alone(write, key_file):
    path = write(WELLHUB, 'gym_id = "0123"\nkey = { file = "gone" }\nca_file = "gone.pem"')
    usable = load_usable(path, {})
    assert set(usable.secrets) == {"wellpass", "capitan"}
    assert usable.unusable["wellhub"].where == ("partners", "wellhub", "key", "file")
    key_file.unlink()
    with pytest.raises(SettingsError) as caught:
        load_usable(path, {})
    assert len(caught.value.problems) == 4


def test_with_another_mistake_everything_is_reported(write, refusal, key_file):  # noqa: ARG001
    path = write(WELLHUB, 'gym_id = "0123"\nkey = { file = "gone" }\nbudget_ms = 1')
    with pytest.raises(SettingsError) as caught:
        load_usable(path, {})
    assert [problem.key for problem in caught.value.problems] == [
        problem.key for problem in refusal(path, {}).problems
    ]
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("key", ["key", "proxy_key", "client_key"])
def test_an_unknown_place_of_a_key(wellhub, refusal, key):
    lines = [f'{key} = {{ flie = "x" }}'] if key != "key" else []
    path = wellhub(PROXY, 'client_certificate = "a.crt"', *lines)
    if key == "key":
        path.write_text(
            path.read_text().replace('gym_id = "0123"\nkey = { file', 'gym_id = "0123"\nkey = { flie')
        )
    problems = refusal(path, {}).problems
    (problem,) = (one for one in problems if one.key == f"partners.wellhub.{key}.flie")
    assert problem.what == "is not a known key"
