"""The locks that the installer goes by: they satisfy pyproject.toml, and every file has its hash."""

import importlib.metadata
import re
import tomllib

import pytest
from machines import ROOT, locked
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = ("requirements.lock", "build.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PYTHONS = ({"python_version": "3.11"}, {"python_version": "3.13"})


def wanted():
    dependencies = PROJECT["project"]["dependencies"]
    return [("requirements.lock", text) for text in dependencies] + [
        ("build.lock", text) for text in PROJECT["build-system"]["requires"]
    ]


@pytest.mark.parametrize(("lock", "text"), wanted())
def test_the_lock_has_what_the_project_allows(lock, text):
    requirement = Requirement(text)
    version, _ = locked(lock)[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_its_hashes_and_no_index_is_named(lock):
    for name, (version, hashes) in locked(lock).items():
        assert version, name
        assert hashes, name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), name
    text = (ROOT / "config" / lock).read_text("utf-8")
    assert "://" not in text
    assert "index" not in text
    assert text.splitlines()[1].strip("# ") == "scripts/lock"


def test_needs_of_locked_packages_are_locked_too():
    lock = locked()
    for name in lock:
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # on another Python alone
        if importlib.metadata.version(name) != lock[name][0]:
            continue
        for need in map(Requirement, needs):
            if need.marker is None or any(need.marker.evaluate(env | {"extra": ""}) for env in PYTHONS):
                version, _ = lock[canonicalize_name(need.name)]
                assert need.specifier.contains(version), f"{name} needs {need}"


def test_the_settings_engine_is_the_one_that_was_tested():
    (pydantic,) = (text for text in PROJECT["project"]["dependencies"] if text.startswith("pydantic"))
    assert re.fullmatch(r"pydantic==[\d.]+", pydantic)
    assert importlib.metadata.version("pydantic") == pydantic.partition("==")[2]
    assert importlib.metadata.version("pydantic-core") == locked()["pydantic-core"][0]


def test_every_dependency_has_an_upper_bound():
    for _, text in wanted():
        bounds = {one.operator for one in Requirement(text).specifier}
        assert bounds & {"<", "=="}, text
