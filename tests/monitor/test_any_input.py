"""Any input of a browser or a proxy: addresses, sessions, keys and filters are valid or ignored."""

import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from gatectl.monitor.connections import Forwarded, address_of, place_of
from gatectl.monitor.password import Password
from gatectl.monitor.query import Query
from gatectl.monitor.security import session_in

PASSWORD = Password("correct horse battery")
PROXIES = {"192.0.2.1", "2001:db8::1"}
ADDRESSES = st.ip_addresses().map(str)
FILTERS = ("door", "partner", "member", "code", "result", "kind", "since", "until", "before", "codes")


@given(st.text() | ADDRESSES)
def test_a_place_is_that_of_its_own_notation(text):
    address = address_of(text)
    place = place_of(text)
    assert place == place_of(str(address) if address else text)
    if address is not None and address.version == 4:
        assert place == str(address)
    if address is not None and address.version == 6 and not address.is_loopback:
        assert ipaddress.IPv6Address(int(address)) in ipaddress.IPv6Network(place)


@given(st.lists(st.sampled_from(sorted(PROXIES)) | ADDRESSES | st.text(st.characters(codec="latin-1"))))
def test_the_last_address_that_is_no_named_proxy_is_the_browsers(said):
    seen = []

    async def app(scope, _receive, _send):
        seen.append(scope["client"][0])

    headers = [(b"x-forwarded-for", part.encode("latin-1")) for part in said]
    scope = {"type": "http", "client": ("192.0.2.1", 1), "scheme": "http", "headers": headers}
    step = Forwarded(app, PROXIES)(scope, None, None)
    with contextlib.suppress(StopIteration):
        step.send(None)
    parts = ",".join(said).split(",")
    known = {address_of(proxy) for proxy in PROXIES}
    last = next((address_of(part) for part in reversed(parts) if address_of(part) not in known), None)
    assert seen == ["192.0.2.1" if last is None else str(last)]


@given(st.text(st.characters(codec="latin-1")))
def test_only_the_password_makes_a_session_or_a_key(text):
    assert PASSWORD.session_of(text) is None
    assert session_in(Headers({"cookie": f"gatectl_session={text}"}), PASSWORD) is None
    assert not PASSWORD.opens_display("main", text)


@pytest.mark.parametrize("other", ['prefs={"theme": "dark"}', "version=1", "a b", "caf\xe9=1", "=;"])
def test_a_cookie_of_another_program_on_this_host_hides_no_session(other):
    own = f"gatectl_session={PASSWORD.session()}"
    for cookies in (own, f"{other}; {own}", f"{own}; {other}"):
        assert session_in(Headers({"cookie": cookies}), PASSWORD) is not None


@given(st.text())
def test_a_key_opens_its_own_door_alone(door):
    key = PASSWORD.display_key("main")
    assert PASSWORD.opens_display(door, key) is (door == "main")


@given(st.dictionaries(st.sampled_from(FILTERS), st.text() | st.from_regex(r"[0-9T:. +Zdhm-]{0,30}")))
def test_filters_of_any_text_are_a_query(params):
    query = Query.of(params)
    query.search.filters.conditions()
    assert set(query.given) <= set(FILTERS)
    assert Query.of(query.given).given == query.given
