"""The direction of the imports, the purity of the decisions, and the folders of the house."""

import ast
import io
import os
import re
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gatectl"

MAY_IMPORT = {
    "errors": set(),
    "decision": set(),
    "clock": {"decision"},
    "validators": {"decision", "errors"},
    "devices": {"clock", "validators", "decision", "errors"},
    "partners": {"validators", "decision", "errors"},
    "journal": {"clock", "decision", "errors"},
    "sinks": {"decision", "errors"},
    "config": {"validators", "partners", "devices", "decision", "errors"},
    "sim": {"partners", "decision", "devices", "errors"},
    "daemon": {"clock", "sinks", "devices", "partners", "journal", "decision", "config", "errors"},
    "uplink": {"clock", "monitor", "journal", "config", "validators", "decision", "errors"},
    "monitor": {"partners", "journal", "decision", "config", "validators", "errors"},
    "fleet": {"monitor", "uplink", "sinks", "journal", "config", "validators", "decision", "errors"},
    "cli": {
        "clock",
        "fleet",
        "monitor",
        "uplink",
        "daemon",
        "sinks",
        "sim",
        "devices",
        "partners",
        "journal",
        "decision",
        "config",
        "validators",
        "errors",
    },
    "__main__": {"cli"},
}
"""The imports that each part is allowed, in addition to itself and the package's own version."""

DESCRIPTORS = {"gatectl.partners.protocol", "gatectl.partners.registry"}
"""The imports from the partners that `config`, `sim` and `monitor` are allowed: they derive settings, names
and words from it."""

OUTSIDE = {
    *("asyncio", "concurrent", "multiprocessing", "threading", "queue"),
    *("logging", "warnings", "syslog"),
    *("time", "sched", "random", "secrets"),
    *("socket", "selectors", "select", "ssl", "http", "urllib.request"),
    *("os", "pathlib", "shutil", "tempfile", "subprocess", "fcntl", "signal", "sqlite3"),
}
"""Modules that a decision cannot need: clocks, chance, and everything that touches the machine."""

CLOCK_AND_IO = {"now", "utcnow", "today", "open", "print", "input"}

TOP_LEVEL = {"pyproject.toml", "README.md", "gatectl", "config", "systemd", "tests", "scripts"}
BESIDES = {"CHANGELOG.md", "LICENSE"}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def sources(part: str | None = None) -> list[Path]:
    found = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]
    return [path for path in found if part in {None, part_of(path)}]


def imports(path: Path) -> Iterator[str]:
    """The full names of what a module imports, wherever in it: `gatectl.errors.GatectlError`, `os`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides its direction"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(path: Path) -> set[str]:
    """The parts of gatectl that a module imports."""
    names = (name.split(".") for name in imports(path))
    return {name[1] for name in names if name[0] == "gatectl" and len(name) > 1} - {"__version__"}


def test_every_part_is_known():
    assert {part_of(path) for path in sources()} <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    part = part_of(path)
    assert ours(path) <= MAY_IMPORT[part] | {part}


@pytest.mark.parametrize(
    "path",
    [*sources("config"), *sources("sim"), *sources("monitor")],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_settings_simulator_and_monitor_know_the_protocols_by_their_descriptors(path):
    modules = {name.rpartition(".")[0] for name in imports(path) if name.startswith("gatectl.partners.")}
    assert modules <= DESCRIPTORS


@pytest.mark.parametrize("path", sources("decision"), ids=lambda path: path.name)
def test_decisions_import_nothing_that_acts(path):
    names = {name for name in imports(path) if not name.startswith("gatectl.")}
    assert {name.split(".")[0] for name in names} <= set(sys.stdlib_module_names)
    assert not {name for name in names if any(f"{name}.".startswith(f"{banned}.") for banned in OUTSIDE)}


@pytest.mark.parametrize("path", sources("decision"), ids=lambda path: path.name)
def test_decisions_ask_no_clock_and_open_nothing(path):
    calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    names = {func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in calls}
    assert not names & CLOCK_AND_IO


def test_the_tests_on_the_emulated_pi_can_be_collected():
    """A plain run passes them by: it would not see that they import a name that is elsewhere now."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests/pi"]
    environ = os.environ | {"GATECTL_PI": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environ)
    assert done.returncode == 0, done.stdout


def test_httpx_is_imported_by_two_commands_alone():
    """The way of a scan has an HTTP client of its own."""
    users = {path.name for path in sources() if any(name.split(".")[0] == "httpx" for name in imports(path))}
    assert users == {"codes_client.py", "fleet_demo.py"}


COMMAND = "the command; the other module does its work"
SAME_NAME = {
    **dict.fromkeys(("backup", "cards", "codes", "erase", "grace", "status"), COMMAND),
    "connection": "to a partner; to the partner simulator",
    "protocol": "a partner's protocol; its simulated side",
    "control": "the client of the control socket; its server",
    "reader": "reads the settings; reads the journal",
    "schema": "of the settings; of the store",
    "serve": "serves the doors; serves the pages",
}
"""Module names that occur in more than one folder, with the difference that the folders make."""
SIMULATED = PACKAGE / "sim" / "protocols"
"""Its modules have the names of the partners' protocols."""


def test_each_module_name_is_unique_unless_the_folder_says_the_difference():
    paths = [path for path in sources() if path.name != "__init__.py" and path.parent != SIMULATED]
    names = [path.stem for path in paths]
    assert {name for name in names if names.count(name) > 1} <= set(SAME_NAME)


def test_each_test_files_name_is_unique():
    """Pytest imports them by their base names."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert {name for name in names if names.count(name) > 1} == set()


LINES_LEAST, LINES_MOST = 26, 400
LONGER = {"decision/words/catalog.py": "one table of texts"}
"""Modules that are longer, and the one idea for which they are."""
MODULES_MAX = 225
"""Without each folder's `__init__.py`. Before raising it, join modules that are only read together."""


def test_modules_are_neither_tiny_nor_huge_nor_too_many():
    modules = [path for path in sources() if path.name != "__init__.py"]
    lines = {str(path.relative_to(PACKAGE)): len(path.read_text("utf-8").splitlines()) for path in modules}
    assert not {name for name, count in lines.items() if count < LINES_LEAST}
    assert {name for name, count in lines.items() if count > LINES_MOST} <= set(LONGER)
    assert len(modules) <= MODULES_MAX


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_cancellation_is_swallowed(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    names = [ast.unparse(call.func) for call in calls]
    assert "asyncio.wait_for" not in names, "before Python 3.12 it drops one that comes with the result"


NESTED_MAX = 4
"""Deeper blocks are a function of their own."""
BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.AsyncFor, ast.AsyncWith, ast.Try, ast.Match)


def nesting(node: ast.AST, depth: int = 0) -> int:
    """The deepest block in a function, without functions inside it; `elif` is no deeper than `if`."""
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        deepest = max(deepest, nesting(child, depth + (isinstance(child, BLOCKS) and not is_elif)))
    return deepest


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_function_nests_too_deep(path):
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert not [function.name for function in functions if nesting(function) > NESTED_MAX]


DOOR_MAX = 150


def test_a_doors_shell_stays_short():
    shell = (PACKAGE / "daemon" / "door.py").read_text("utf-8")
    assert len(shell.splitlines()) <= DOOR_MAX, "a rule belongs in decision/door/"


def test_each_class_name_is_unique():
    trees = [ast.parse(path.read_text("utf-8")) for path in sources()]
    names = [node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assert not {name for name in names if names.count(name) > 1}


def test_the_simulators_certificates_are_made_by_the_simulator_alone():
    users = {part_of(path) for path in sources() for name in imports(path) if name.startswith("trustme")}
    assert users <= {"sim"}


needs_git = pytest.mark.skipif(
    not (ROOT / ".git").exists() or shutil.which("git") is None,
    reason="only git, in a checkout, knows what belongs to it",
)


def tracked() -> list[str]:
    """The paths of all files that belong to the repository."""
    # The checkout may belong to another user, as in a container.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for path in listed.split("\0") if path]


def text_of(path: str) -> str:
    """The text of a tracked file; empty for a picture."""
    return (ROOT / path).read_bytes().decode("utf-8", errors="ignore")


@needs_git
def test_the_top_level_stays_as_it_is():
    names = {path.split("/")[0] for path in tracked()}
    assert {name for name in names if not name.startswith(".")} - BESIDES == TOP_LEVEL


def test_the_readme_says_what_each_folder_holds():
    readme = (ROOT / "README.md").read_text("utf-8")
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    rows = [row for row in readme.splitlines() if row.startswith("| `")]
    assert not [folder for folder in folders if not any(f"`{folder}/`" in row for row in rows)]


FILE_NAME = re.compile(r"(?<![\w/.$*{}%-])[\w-]+(?:/[\w.-]+)*\.(?:py|md|sql|html|js|css|png)\b")
MAN_PAGE = re.compile(r"\b(gatectl(?:[.-]\w+)*)\((\d)\)")
ELSEWHERE = ["reference/", "the contract's", "of the contract", "contract says", "contract names"]
"""Notes about the partners, and a specification, that are not part of the repository."""


@needs_git
def test_nothing_cites_a_file_that_is_not_in_the_repository():
    paths = tracked()
    ends = {path[at:] for path in paths for at in range(len(path)) if at == 0 or path[at - 1] == "/"}
    missing = []
    for path in paths:
        if path == "tests/test_house.py":
            continue
        text = text_of(path)
        cited = [] if path.startswith("tests/") else FILE_NAME.findall(text)
        missing += [f"{path}: {name}" for name in cited if name not in ends]
        missing += [f"{path}: {words}" for words in ELSEWHERE if words in text.lower()]
        pages = {f"{name}.{section}" for name, section in MAN_PAGE.findall(text)}
        missing += [f"{path}: the man page {page}" for page in pages if f"config/man/{page}" not in paths]
    assert not missing


RIDDLE = re.compile(r"(What|Who|Whom|Whose|Where|Whoever|Whatever|Wherever)\b")
"""Openings that leave the reader to guess the subject; a sentence starts with its subject or its verb."""


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """The docstrings and comments of a module, each with its line."""
    text = path.read_text("utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.lineno, str(node.value.value)
    previous = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != previous + 1:  # else it may continue a sentence
                yield token.start[0], token.string.lstrip("# ")
            previous = token.start[0]


@pytest.mark.parametrize(
    "path",
    [*sources(), *sorted((PACKAGE.parent / "tests").rglob("*.py"))],
    ids=lambda path: str(path.relative_to(PACKAGE.parent)),
)
def test_prose_opens_with_its_subject_or_verb(path):
    assert [f"line {line}: {text}" for line, text in prose(path) if RIDDLE.match(text.strip())] == []
