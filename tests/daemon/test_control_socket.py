"""No client of a socket of the daemon stops a door, by anything it sends or holds open."""

import asyncio
import contextlib
import json
import os
import resource
import socket
import stat
import time
from pathlib import Path

import pytest
from control_server import daemon_that_answers
from harness import GOOD
from limits import NET_S

from gatectl.daemon.control import ASKING_MAX, LINE_MAX, MODE, PATIENCE_S, listening
from gatectl.decision.control_messages import RefusedError
from gatectl.decision.log import Priority


def connected(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(NET_S)
    connection.connect(str(path))
    return connection


def line_of(connection):
    with connection.makefile("rb") as lines:
        return lines.readline()


def descriptors_of(gym):
    return {int(path.name) for path in Path(f"/proc/{gym.pid}/fd").iterdir()}


@contextlib.contextmanager
def holding(path, count):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connected(path)) for _ in range(count)]


@pytest.fixture
def gym(gym, tmp_path):
    gym = gym()
    gym.looking = tmp_path / "watch.sock"
    return gym.start(GATECTL_WATCH_SOCKET=str(gym.looking))


@pytest.mark.parametrize("which", ["socket", "looking"])
def test_two_hundred_idle_connections_stop_no_door(gym, which):
    path = getattr(gym, which)
    with holding(path, 200) as connections:
        for connection in connections[ASKING_MAX:]:
            assert json.loads(line_of(connection))["error"] == "too many connections at once"
        assert len(descriptors_of(gym)) < 60
        assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
        for connection in connections[:ASKING_MAX]:
            assert line_of(connection) == b"", "who says nothing is dropped"
    assert gym.status()["pid"] == gym.pid
    assert gym.terminate() == 0


def test_a_command_says_that_too_many_clients_are_connected(gym):
    assert gym.terminate() == 0
    with daemon_that_answers(gym.socket, {"error": "too many connections at once"}):
        refused = gym.run("status")
    assert (refused.returncode, refused.stderr.splitlines()[0]) == (1, "too many connections at once")


@pytest.mark.parametrize("sent", [b"", b'{"command": "status"'])
def test_a_client_that_does_not_end_its_line_is_dropped(gym, sent):
    with connected(gym.socket) as connection:
        before = time.monotonic()
        connection.sendall(sent)
        assert connection.recv(1) == b""
        assert time.monotonic() - before > PATIENCE_S / 2


def test_a_line_without_end_is_refused(gym):
    with connected(gym.socket) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"x" * (4 * LINE_MAX))
        assert json.loads(line_of(connection))["error"] == "not a request"


def test_a_line_that_the_end_of_the_connection_ends_is_answered(gym):
    with connected(gym.socket) as connection:
        connection.sendall(b'{"command": "status"}')
        connection.shutdown(socket.SHUT_WR)
        assert json.loads(line_of(connection))["pid"] == gym.pid


def test_a_full_table_of_open_files_is_survived(gym):
    """accept(2) fails with EMFILE; the limit is put where the daemon's table ends now."""
    before = resource.prlimit(gym.pid, resource.RLIMIT_NOFILE)
    used = descriptors_of(gym)
    first_free = next(number for number in range(len(used) + 1) if number not in used)
    resource.prlimit(gym.pid, resource.RLIMIT_NOFILE, (first_free, before[1]))
    with holding(gym.socket, ASKING_MAX) as connections:  # a few descriptors may come free meanwhile
        gym.logged("no client can connect to the control socket (Too many open files)")
        connections[0].sendall(b'{"command": "status"}\n')
        resource.prlimit(gym.pid, resource.RLIMIT_NOFILE, before)
        gym.logged("the control socket accepts connections again")
        assert json.loads(line_of(connections[0]))["pid"] == gym.pid
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    assert gym.count_logged("no client can connect") == 1
    assert gym.terminate() == 0


def test_a_client_that_does_not_take_its_answer_is_dropped(gym):
    answers = connected(gym.socket)
    answers.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    with answers:
        answers.sendall(b'{"command": "status"}\n')
        assert gym.status()["pid"] == gym.pid


def test_the_sockets_mode_is_there_from_the_first_moment_and_no_umask_changes(tmp_path):
    path = tmp_path / "control.sock"
    umask = os.umask(0o077)

    async def story():
        async with listening(path, {}, pytest.fail):
            return stat.S_IMODE(path.stat().st_mode), os.umask(0o077)

    try:
        assert asyncio.run(story()) == (MODE, 0o077)
    finally:
        os.umask(umask)
    assert not path.exists()


def test_a_bug_in_a_command_is_answered_and_logged(tmp_path):
    path, entries = tmp_path / "control.sock", []

    async def broken(_request):
        raise KeyError("no door's business")

    async def refusing(_request):
        raise RefusedError("no", "ask nicely")

    async def asked(command):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(json.dumps({"command": command}).encode() + b"\n")
        answer = json.loads(await reader.readline())
        writer.close()
        return answer

    async def story():
        async with listening(path, {"broken": broken, "refusing": refusing}, entries.append):
            return [await asked("broken"), await asked("refusing")]

    first, second = asyncio.run(story())
    assert first["error"] == "the daemon failed at broken"
    assert second == {"error": "no", "hints": ["ask nicely"]}
    (entry,) = entries
    assert entry.priority is Priority.ERROR
    assert entry.message.startswith("the command broken failed: KeyError in broken, line ")
    assert "business" not in entry.message


def test_a_command_under_way_is_finished_at_the_end(tmp_path):
    path, finished = tmp_path / "control.sock", []

    async def slow(_request):
        begun.set()
        await asyncio.sleep(0.01)
        finished.append(True)
        return {}

    async def story():
        async with listening(path, {"slow": slow}, pytest.fail):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b'{"command": "slow"}\n')
            await begun.wait()
        assert await reader.readline() == b"{}\n"
        writer.close()

    begun = asyncio.Event()
    asyncio.run(story())
    assert finished
