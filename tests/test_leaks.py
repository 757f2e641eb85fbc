"""The check that nothing outlives its test finds threads, processes, and processes whose parent has ended."""

import subprocess
import threading
from pathlib import Path

import leaks
import pytest

WAITING = ["sh", "-c", "echo; read line"]
"""A process that says when it is there, and waits."""


@pytest.fixture
def impatient(monkeypatch):
    """As if all the time that a thread or process has were over."""
    monkeypatch.setattr(leaks, "NET_S", 0.0)


@pytest.mark.usefixtures("impatient")
def test_a_thread_that_goes_on_is_named_with_its_place():
    begun, over = leaks.Begun(), threading.Event()
    thread = threading.Thread(target=over.wait, name="forgotten")
    thread.start()
    try:
        (left,) = begun.not_ended()
        assert left.startswith("the thread forgotten at threading.py:")
    finally:
        over.set()
        thread.join()
    assert begun.not_ended() == []


@pytest.mark.usefixtures("impatient")
def test_a_process_that_goes_on_is_named_and_killed():
    begun = leaks.Begun()
    with subprocess.Popen(WAITING, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert begun.not_ended() == ["the process sh -c echo; read line"]
        assert begun.not_ended() == []
        assert not Path(f"/proc/{process.pid}").exists()


@pytest.mark.usefixtures("impatient")
def test_a_process_whose_parent_has_ended_is_found_too():
    begun = leaks.Begun()
    subprocess.run(["sh", "-c", "sleep 1000 > /dev/null &"], check=True)
    (left,) = begun.not_ended()
    assert left.startswith("the process ")


def test_what_is_about_to_end_is_waited_for():
    begun, over = leaks.Begun(), threading.Event()
    threading.Thread(target=over.wait).start()
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    threading.Timer(0.05, lambda: (over.set(), process.stdin.close())).start()
    assert begun.not_ended() == []
    assert process.wait() == 0


def test_what_was_there_before_or_is_kept_may_go_on(monkeypatch):
    monkeypatch.setattr(leaks, "NET_S", 0.0)
    with subprocess.Popen(["sleep", "1000"]) as before:
        begun = leaks.Begun()
        with subprocess.Popen(["sleep", "1000"]) as kept:
            monkeypatch.setattr(leaks, "kept", [lambda: kept.pid])
            assert begun.not_ended() == []
            kept.kill()
        before.kill()
