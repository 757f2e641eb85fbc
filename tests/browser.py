"""Fixtures of a real Chromium, for the pages of a gate and of a fleet."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from limits import NET_MS
from playwright.sync_api import expect, sync_playwright

expect.set_options(timeout=NET_MS)


def browser_here():
    """The path of a Chromium that runs, or None. Ubuntu's package is a script that only asks for a snap."""
    for name in ("chromium", "chromium-browser"):
        found = shutil.which(name)
        if found and not subprocess.run([found, "--version"], capture_output=True, check=False).returncode:
            return found
    return None


BROWSER_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP gym.test 127.0.0.1",  # a name that is no secure context
)


@pytest.fixture(scope="module")
def chromium():
    # No longer than that: while it is there, no event loop of another test's own can run.
    path = browser_here()
    if path is None:
        pytest.skip("there is no Chromium here: apt-get install chromium (Ubuntu has it as a snap alone)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=BROWSER_ARGUMENTS, timeout=NET_MS)
        yield browser
        browser.close()


@pytest.fixture
def look(chromium):
    """Opens pages; at the end none of them may have complained, but the `quiet` ones: a browser itself
    complains of a connection that broke. In a `stopped` one time passes only as the test lets it, so that
    nothing goes away before it was seen."""
    contexts, complaints = [], []

    def open_page(
        address, *, width=1280, height=900, scheme="light", language="en-GB", quiet=False, stopped=False
    ):
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, locale=language
        )
        contexts.append(context)
        context.set_default_timeout(NET_MS)
        page = context.new_page()
        if not quiet:
            page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if stopped:
            page.add_init_script("globalThis.running = { setTimeout, clearTimeout }")
            page.clock.install(time=0)
            page.clock.pause_at(1)
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def pictures():
    """The folder for screenshots, if they are wanted: $GATECTL_PICTURES."""
    folder = os.environ.get("GATECTL_PICTURES")
    return Path(folder) if folder else None
