"""Calls of httpx that a busy machine does not break off: each wait has the limit of all tests."""

import functools

import httpx
from limits import NET_S

get = functools.partial(httpx.get, timeout=NET_S)
post = functools.partial(httpx.post, timeout=NET_S)
stream = functools.partial(httpx.stream, timeout=NET_S)
Client = functools.partial(httpx.Client, timeout=NET_S)
AsyncClient = functools.partial(httpx.AsyncClient, timeout=NET_S)
