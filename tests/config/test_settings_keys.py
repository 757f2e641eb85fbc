"""The partners' keys: where they come from, and which are refused."""

from __future__ import annotations

import os

import pytest
import trustme

from gatectl.config.model import Secret
from gatectl.config.reader import load, load_with_keys
from gatectl.config.secrets import PartnerSecrets

SECRET = "s3cr3t-k3y"
WELLHUB = 'gym_id = "0123"\nkey = { file = "key" }'


@pytest.mark.usefixtures("key_file")
def test_keys_come_from_files(write):
    settings, keys = load_with_keys(write(), {})
    assert keys == dict.fromkeys(settings.partners, PartnerSecrets(Secret(SECRET)))
    assert SECRET not in repr((settings, keys))
    assert settings == load(write())


@pytest.mark.parametrize("content", [SECRET, f"  {SECRET}\n", f"\r\n\t{SECRET}\r\n"])
def test_white_space_around_a_key_is_not_the_key(write, key_file, content):
    key_file.write_text(content)
    assert load_with_keys(write(), {})[1]["wellhub"].key.value == SECRET


@pytest.mark.usefixtures("key_file")
def test_keys_come_from_the_environment(write):
    path = write(WELLHUB, 'gym_id = "0123"\nkey = { env = "WELLHUB" }')
    assert load_with_keys(path, {"WELLHUB": f"{SECRET}2 "})[1]["wellhub"].key.value == f"{SECRET}2"


@pytest.mark.usefixtures("key_file")
def test_keys_come_from_systemd(write, tmp_path):
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "wh").write_text(f"{SECRET}3")
    path = write(WELLHUB, 'gym_id = "0123"\nkey = { credential = "wh" }')
    _, keys = load_with_keys(path, {"CREDENTIALS_DIRECTORY": str(folder)})
    assert keys["wellhub"].key.value == f"{SECRET}3"


def test_technicians_without_the_keys_can_load(write):
    assert set(load(write()).partners) == {"wellhub", "wellpass", "capitan"}


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o666, 0o777])
def test_a_key_that_others_can_read(write, refusal, key_file, mode):
    key_file.chmod(mode)
    path = write()
    assert refusal(path, {}).lines()[:2] == [
        f"{path}:8: partners.wellhub.key.file: {key_file} can be read by everyone on this machine",
        f"hint: chmod 640 {key_file}",
    ]


@pytest.mark.parametrize("mode", [0o640, 0o600, 0o440, 0o400])
def test_a_key_that_the_group_can_read(write, key_file, mode):
    key_file.chmod(mode)
    assert load_with_keys(write(), {})[1]


def _missing(key_file):
    key_file.unlink()


def _folder(key_file):
    key_file.unlink()
    key_file.mkdir(mode=0o750)


def _pipe(key_file):
    key_file.unlink()
    os.mkfifo(key_file, mode=0o640)


def _loop(key_file):
    key_file.unlink()
    key_file.symlink_to(key_file)


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (_missing, "{} does not exist"),
        (_folder, "{} cannot be read: Is a directory"),
        (_pipe, "{} is not a plain file"),
        (_loop, "{} cannot be read: Too many levels of symbolic links"),
    ],
)
def test_a_key_file_that_is_none(write, refusal, key_file, spoil, what):
    spoil(key_file)
    problem = refusal(write(), {}).problems[0]
    assert (problem.line, problem.key) == (8, "partners.wellhub.key.file")
    assert problem.what == what.format(key_file)
    assert problem.hints


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the key is empty"),
        (b" \r\n", "the key is empty"),
        (b"a b", "the key holds characters that cannot be in an HTTP header"),
        (b"a\r\nX-Evil: b", "the key holds characters that cannot be in an HTTP header"),
        (b"a\0b", "the key holds characters that cannot be in an HTTP header"),
        (b"\xef\xbb\xbfkey", "the key holds characters that cannot be in an HTTP header"),
        ("schlüssel".encode(), "the key holds characters that cannot be in an HTTP header"),
        (b"k" * 8193, "is longer than the 8192 bytes of a key"),
    ],
)
def test_a_content_that_is_no_key(write, refusal, key_file, content, what):
    key_file.write_bytes(content)
    error = refusal(write(), {})
    assert {problem.what for problem in error.problems} == {what}
    assert all(problem.hints for problem in error.problems)
    assert len(error.problems) == 3, "one for each partner"


@pytest.mark.usefixtures("key_file")
@pytest.mark.parametrize(
    ("source", "environ", "key", "what"),
    [
        ('env = "NONE"', {}, "env", "$NONE is not set"),
        ('env = "NONE"', {"NONE": " "}, "env", "the key is empty"),
        (
            'env = "NONE"',
            {"NONE": "\udcff"},
            "env",
            "the key holds characters that cannot be in an HTTP header",
        ),
        (
            'credential = "none"',
            {},
            "credential",
            "$CREDENTIALS_DIRECTORY is not set, so there are no credentials",
        ),
        (
            'credential = "../key"',
            {"CREDENTIALS_DIRECTORY": "/"},
            "credential",
            "is not the name of a credential",
        ),
        (
            'credential = "no-such"',
            {"CREDENTIALS_DIRECTORY": "/dev"},
            "credential",
            "/dev/no-such does not exist",
        ),
    ],
)
def test_other_sources_that_have_no_key(write, refusal, source, environ, key, what):
    (problem,) = refusal(write(WELLHUB, f'gym_id = "0123"\nkey = {{ {source} }}'), environ).problems
    assert (problem.line, problem.key, problem.what) == (8, f"partners.wellhub.key.{key}", what)
    assert problem.hints


@pytest.mark.usefixtures("key_file")
@pytest.mark.parametrize("place", ["file", "credential", "env"])
def test_a_key_in_the_place_of_its_place_is_not_shown(write, refusal, place):
    key = "sk4live8" + SECRET.replace("-", "") + "Zq7x"
    path = write(WELLHUB, f'gym_id = "0123"\nkey = {{ {place} = "{key}" }}')
    error = refusal(path, {"CREDENTIALS_DIRECTORY": "/dev"})
    (problem,) = error.problems
    assert (problem.line, problem.key) == (8, f"partners.wellhub.key.{place}")
    assert problem.what == "is not there; is this the key itself?"
    assert problem.hints
    assert not any(key in line for line in error.lines())


@pytest.mark.usefixtures("key_file")
@pytest.mark.parametrize(
    ("source", "what"),
    [
        ('env = "WELLHUB_KEY_BERLIN_2"', "$WELLHUB_KEY_BERLIN_2 is not set"),
        (
            'file = "/etc/no-such-folder/wellhub-berlin-2"',
            "/etc/no-such-folder/wellhub-berlin-2 does not exist",
        ),
    ],
)
def test_a_place_that_is_not_there_is_shown(write, refusal, source, what):
    (problem,) = refusal(write(WELLHUB, f'gym_id = "0123"\nkey = {{ {source} }}'), {}).problems
    assert problem.what == what


@pytest.mark.usefixtures("key_file")
def test_a_private_authority(write, tmp_path, refusal):
    file = tmp_path / "ca.pem"
    path = write(WELLHUB, f'{WELLHUB}\nca_file = "ca.pem"')
    trustme.CA().cert_pem.write_to_path(str(file))
    load_with_keys(path, {})
    for content in (b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\n"):
        file.write_bytes(content)
        (problem,) = refusal(path, {}).problems
        assert (problem.line, problem.key) == (9, "partners.wellhub.ca_file")
        assert problem.what == f"{file} holds no certificates"
    file.unlink()
    assert refusal(path, {}).problems[0].what == f"{file} cannot be read: No such file or directory"
    file.mkdir()
    assert refusal(path, {}).problems[0].what == f"{file} is not a plain file"
