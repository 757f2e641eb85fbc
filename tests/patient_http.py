"""Calls of httpx that a busy machine does not break off: each wait has the limit of all tests."""

import functools
import time

import httpx
from limits import NET_S

get = functools.partial(httpx.get, timeout=NET_S)
post = functools.partial(httpx.post, timeout=NET_S)
stream = functools.partial(httpx.stream, timeout=NET_S)
Client = functools.partial(httpx.Client, timeout=NET_S)
AsyncClient = functools.partial(httpx.AsyncClient, timeout=NET_S)


def page_with(client, path, words):
    """Return a page as soon as it has these words: it may show what was a second ago."""
    until_s = time.monotonic() + NET_S
    while words not in (page := client.get(path).text):
        assert time.monotonic() < until_s, page
        time.sleep(0.05)
    return page
