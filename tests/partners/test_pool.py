"""The pool under a clock of its own: how many connections, how often it dials, and that none is forgotten."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partner_rigs import Asker, Peer, answers, run, until
from virtual_loop import run_virtually

from gatectl.decision.outcomes import Fault
from gatectl.partners.http.connection import no_progress
from gatectl.partners.http.failure import ExchangeFailed
from gatectl.partners.http.pool import (
    DIAL_PATIENCE_S,
    LONGEST_CLOSED_PAUSE_S,
    LONGEST_PAUSE_S,
    LONGEST_TLS_PAUSE_S,
    OLDEST_S,
    STABLE_S,
    Pool,
    pause_s,
)
from gatectl.partners.http.proxy import Proxy


class StubConnection:
    """A connection without a socket."""

    def __init__(self):
        self.opened_at = asyncio.get_running_loop().time()
        self.answers = 0
        self.when_disturbed = None
        self.quiet, self.closed = True, False
        self.looks = 0

    def is_quiet(self):
        self.looks += 1
        return self.seems_quiet

    @property
    def seems_quiet(self):
        return self.quiet and not self.closed

    def disturbance(self):
        return None if self.seems_quiet else ExchangeFailed(Fault.TLS, "refused behind the handshake")

    def close(self):
        self.closed = True
        self.when_disturbed = None

    def disturb(self):
        """The partner ends it, or says something unasked."""
        self.quiet = False
        if self.when_disturbed:
            disturbed, self.when_disturbed = self.when_disturbed, None
            disturbed()


class Partner:
    """The pool's dialler: `play` is awaited at each dial, and may raise ExchangeFailed."""

    def __init__(self, want=1, play=None):
        self.connections, self.linked, self.dialled_at = [], [], []
        self.play = play
        self.pool = Pool(self.dial, want, self.linked.append)

    async def dial(self, _on_progress):
        self.dialled_at.append(asyncio.get_running_loop().time())
        if self.play:
            await self.play()
        connection = StubConnection()
        self.connections.append(connection)
        return connection

    def end_last(self):
        self.connections[-1].disturb()

    @property
    def open(self):
        return [connection for connection in self.connections if not connection.closed]

    async def keep_for(self, seconds):
        """Lets the pool work for so long."""
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.pool.keep()


@pytest.mark.parametrize("want", [1, 2, 5])
def test_so_many_connections_are_kept_and_no_more(want):
    async def story():
        partner = Partner(want)
        await partner.keep_for(OLDEST_S)
        assert partner.pool.ready == len(partner.open) == len(partner.connections) == want
        assert partner.linked == [None] * want

    run_virtually(story())


def test_a_partner_that_refuses_is_asked_again_ever_more_slowly():
    async def story():
        async def refuse():
            raise ExchangeFailed(Fault.NETWORK, "refused")

        partner = Partner(play=refuse)
        await partner.keep_for(60)
        gaps = [
            after - before for before, after in zip(partner.dialled_at, partner.dialled_at[1:], strict=False)
        ]
        assert gaps[:5] == pytest.approx([0.25, 0.5, 1, 1, 1])
        assert set(gaps[3:]) == {1.0}
        assert all(lost.fault is Fault.NETWORK for lost in partner.linked)

        partner.play = None  # the line is back: taken up within a second
        start = asyncio.get_running_loop().time()
        await partner.keep_for(1.5)
        assert partner.pool.ready == 1
        assert partner.dialled_at[-1] - start <= 1
        assert partner.linked[-1] is None

    run_virtually(story())


PROXY = Proxy("127.0.0.1", 3128, "gym:wrong")
LASTING = [
    ExchangeFailed(Fault.TLS, "expired"),
    PROXY.refusal(407, "partner.invalid", 443),
    PROXY.refusal(403, "partner.invalid", 443),
]


@pytest.mark.parametrize("lost", LASTING, ids=str)
def test_a_long_refusal_is_retried_twice_a_minute(lost):
    async def story():
        async def refuse():
            raise type(lost)(lost.fault, lost.detail)

        partner = Partner(play=refuse)
        await partner.keep_for(600)
        assert 20 <= len(partner.dialled_at) <= 30
        assert partner.dialled_at[-1] - partner.dialled_at[-2] == LONGEST_TLS_PAUSE_S

    run_virtually(story())


def test_success_resets_the_pauses():
    async def story():
        refusals = 3

        async def play():
            nonlocal refusals
            refusals -= 1
            if refusals >= 0:
                raise ExchangeFailed(Fault.NETWORK, "refused")

        partner = Partner(play=play)
        keeping = asyncio.create_task(partner.pool.keep())
        await asyncio.sleep(100)
        assert partner.pool.ready == 1
        refusals = 1
        partner.connections[0].disturb()
        lost_at = asyncio.get_running_loop().time()
        await asyncio.sleep(100)
        assert [at - lost_at for at in partner.dialled_at[-2:]] == pytest.approx([0, 0.25])
        keeping.cancel()

    run_virtually(story())


def test_a_hanging_dial_is_given_up_and_repeated():
    async def story():
        partner = Partner(play=asyncio.Event().wait)
        await partner.keep_for(60)
        # It was pause enough.
        assert partner.dialled_at == pytest.approx([DIAL_PATIENCE_S * n for n in range(12)])
        assert partner.linked[0].fault is Fault.NETWORK

    run_virtually(story())


DAY_S = 86_400.0


def closing_after(partner, lives_s):
    """Each connection ends so long after its dial, unless it has ended by then."""

    async def play():
        asyncio.get_running_loop().call_later(lives_s, partner.end_last)

    return play


@pytest.mark.parametrize("lives_s", [0.0, 0.5, 1.0, 5.0, 59.0])
def test_a_partner_that_closes_idle_connections_costs_few_handshakes_a_day(lives_s):
    async def story():
        partner = Partner()
        partner.play = closing_after(partner, lives_s)
        await partner.keep_for(DAY_S)
        assert len(partner.dialled_at) <= DAY_S / LONGEST_CLOSED_PAUSE_S + 12

    run_virtually(story())


def test_connections_that_end_together_come_back_together():
    async def story():
        partner = Partner(5)
        keeping = asyncio.create_task(partner.pool.keep())
        await asyncio.sleep(10)
        for connection in partner.open:
            connection.disturb()
        assert partner.pool.ready == 0
        await asyncio.sleep(0.3)
        assert partner.pool.ready == 5
        keeping.cancel()

    run_virtually(story())


async def scan(partner):
    connection, kind = await partner.pool.acquire(no_progress)
    connection.answers += 1
    partner.pool.release(connection, reusable=True)
    return kind


def test_a_scan_leaves_looking_at_the_socket_to_its_exchange():
    async def story():
        partner = Partner()
        await partner.keep_for(1)
        (connection,) = partner.connections
        assert connection.looks == 1, "after the handshake"
        assert await scan(partner) == "warm"
        assert await scan(partner) == "warm"
        assert connection.looks == 1

    run_virtually(story())


def test_once_members_come_idle_connections_are_replaced_at_once_again():
    async def story():
        partner = Partner()
        partner.play = closing_after(partner, 5.0)
        keeping = asyncio.create_task(partner.pool.keep())
        await asyncio.sleep(3000)
        while partner.pool.ready == 0:
            await asyncio.sleep(1)
        await asyncio.sleep(20)  # the longest pause has just begun
        await scan(partner)
        # From now on someone comes every ten seconds, and meets a ready connection but for short pauses.
        found = []
        for _ in range(20):
            await asyncio.sleep(10)
            found.append(await scan(partner))
        assert found.count("warm") >= 15
        keeping.cancel()

    run_virtually(story())


def test_a_connection_refused_after_its_handshake_is_logged_until_one_works():
    async def story():
        partner = Partner()
        partner.play = closing_after(partner, 0.1)
        keeping = asyncio.create_task(partner.pool.keep())
        await asyncio.sleep(10)
        # The first success came before it was known to be none.
        assert partner.linked[0] is None
        assert len(partner.linked) > 3
        assert {lost.fault for lost in partner.linked[1:]} == {Fault.TLS}
        partner.play = None
        await asyncio.sleep(LONGEST_CLOSED_PAUSE_S + STABLE_S)
        assert partner.linked[-1] is None
        assert partner.linked.count(None) == 2
        keeping.cancel()

    run_virtually(story())


def test_an_answer_shows_that_the_partner_takes_connections():
    async def story():
        partner = Partner()
        partner.play = closing_after(partner, 0.1)
        keeping = asyncio.create_task(partner.pool.keep())
        await asyncio.sleep(10)
        assert partner.linked[-1] is not None
        partner.play = None
        await scan(partner)
        assert partner.linked[-1] is None
        keeping.cancel()

    run_virtually(story())


@pytest.mark.parametrize("want", [1, 3])
def test_no_connection_is_older_than_five_minutes(want):
    async def story():
        partner = Partner(want)
        keeping = asyncio.create_task(partner.pool.keep())
        for second in range(2000):
            await asyncio.sleep(1)
            if second % 7 == 0:
                await scan(partner)
            now = asyncio.get_running_loop().time()
            assert all(now - connection.opened_at <= OLDEST_S for connection in partner.open)
            assert partner.pool.ready == want
        assert len(partner.connections) == want * 7
        keeping.cancel()

    run_virtually(story())


def test_an_exchange_is_not_cut_for_age_and_its_connection_not_used_again():
    async def story():
        partner = Partner()
        connection, _ = await partner.pool.acquire(no_progress)
        await asyncio.sleep(OLDEST_S)
        assert not connection.closed
        partner.pool.release(connection, reusable=True)
        assert connection.closed

    run_virtually(story())


@pytest.mark.parametrize(("quiet", "reusable"), [(False, True), (True, False)])
def test_a_connection_that_is_disturbed_or_used_up_is_not_used_again(quiet, reusable):
    async def story():
        partner = Partner()
        connection, _ = await partner.pool.acquire(no_progress)
        connection.quiet = quiet
        partner.pool.release(connection, reusable=reusable)
        assert (connection.closed, partner.pool.ready) == (True, 0)

    run_virtually(story())


def test_an_old_connection_is_not_used_though_the_keeper_is_busy():
    async def story():
        partner = Partner()
        await partner.keep_for(1)
        await asyncio.sleep(OLDEST_S)
        assert await scan(partner) == "new"
        assert partner.connections[0].closed

    run_virtually(story())


def test_a_connection_that_lived_is_replaced_at_once():
    async def story():
        partner = Partner()

        async def play():
            asyncio.get_running_loop().call_later(60, partner.end_last)

        partner.play = play
        await partner.keep_for(601)
        assert partner.dialled_at == pytest.approx([60 * n for n in range(11)])

    run_virtually(story())


def test_pauses_grow_to_their_longest():
    assert [pause_s(n, LONGEST_PAUSE_S) for n in (1, 2, 3, 4, 5, 10**9)] == [0.25, 0.5, 1, 1, 1, 1]
    assert [pause_s(n, LONGEST_CLOSED_PAUSE_S) for n in (1, 3, 11, 12, 10**9)] == [0.25, 1, 256, 300, 300]
    assert [pause_s(n, LONGEST_TLS_PAUSE_S) for n in (1, 7, 8, 10**9)] == [0.25, 16, 30, 30]


def test_whichever_is_there_first_serves_and_the_other_is_not_lost():
    async def story():
        order = [asyncio.Event(), asyncio.Event()]
        waits = iter(order)
        partner = Partner(play=lambda: next(waits).wait())
        keeping = asyncio.create_task(partner.pool.keep())
        await asyncio.sleep(0)
        acquiring = asyncio.create_task(partner.pool.acquire(no_progress))  # while the keeper is half-way
        await asyncio.sleep(1)
        assert len(partner.dialled_at) == 2
        for event in order:
            event.set()
        connection, kind = await acquiring
        assert kind == "new"
        await asyncio.sleep(1)
        assert partner.open == [connection]  # its door has one
        keeping.cancel()
        await asyncio.wait({keeping})
        await asyncio.sleep(1)
        partner.pool.release(connection, reusable=True)
        assert partner.open == list(partner.pool._idle)
        assert len(partner.open) == 1

    run_virtually(story())


def test_a_scan_does_not_wait_for_a_keeper_that_is_stuck_or_pausing():
    async def story():
        async def refuse():
            raise ExchangeFailed(Fault.TLS, "expired")

        partner = Partner(play=refuse)
        keeping = asyncio.create_task(partner.pool.keep())
        await asyncio.sleep(100)  # now it pauses for thirty seconds
        partner.play = None
        start = asyncio.get_running_loop().time()
        connection, kind = await partner.pool.acquire(no_progress)
        assert (kind, asyncio.get_running_loop().time()) == ("new", start)
        partner.pool.release(connection, reusable=True)
        assert partner.pool.ready == 1
        await asyncio.sleep(100)
        assert partner.open == [connection]
        keeping.cancel()

    run_virtually(story())


def test_a_connection_that_arrives_after_closing_is_closed():
    async def story():
        gate = asyncio.Event()
        partner = Partner(play=gate.wait)
        acquiring = asyncio.create_task(partner.pool.acquire(no_progress))
        await asyncio.sleep(0)
        partner.pool.close()
        gate.set()
        connection, _ = await acquiring
        partner.pool.release(connection, reusable=True)
        assert partner.open == []
        assert partner.pool.ready == 0

    run_virtually(story())


class Evening:
    """Scans, answers, losses and refusals in any order; each method is one that can happen."""

    def __init__(self, want):
        self.partner = Partner(want, self._play)
        self.pool = self.partner.pool
        self.refuses = False
        self.asks, self.held = [], []

    async def _play(self):
        await asyncio.sleep(0.05)
        if self.refuses:
            raise ExchangeFailed(Fault.NETWORK, "refused")

    async def _ask(self):
        connection, _ = await self.pool.acquire(no_progress)
        assert connection not in self.held
        self.held.append(connection)

    def ask(self, _number):
        self.asks.append(asyncio.create_task(self._ask()))

    def cancel(self, number):
        for asking in self.asks[number : number + 1]:
            asking.cancel()

    def answer(self, number):
        for connection in self.held[number : number + 1]:
            self.held.remove(connection)
            connection.answers += 1
            self.pool.release(connection, reusable=True)

    def spoil(self, number):
        for connection in self.held[number : number + 1]:
            self.held.remove(connection)
            self.pool.release(connection, reusable=False)

    def disturb(self, number):
        for connection in list(self.pool._idle)[: number + 1]:
            connection.disturb()

    def refuse(self, _number):
        self.refuses = not self.refuses

    async def end(self):
        """Everybody goes, and the partner is well again."""
        for asking in self.asks:
            asking.cancel()
        for came_to in await asyncio.gather(*self.asks, return_exceptions=True):
            assert came_to is None or isinstance(came_to, ExchangeFailed | asyncio.CancelledError)
        self.refuses = False
        while self.held:
            self.spoil(0)


happenings = st.tuples(
    st.sampled_from(["ask", "ask", "cancel", "answer", "spoil", "disturb", "refuse"]),
    st.integers(0, 3),
    st.sampled_from([None, 0, 0.01, 0.05, 0.2, 3]),
)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 3), st.lists(happenings, max_size=40))
def test_every_connection_is_accounted_for_in_any_order_of_events(want, order):
    async def story():
        evening = Evening(want)
        pool, partner = evening.pool, evening.partner
        keeping = asyncio.create_task(pool.keep())
        for what, number, pause in order:
            getattr(evening, what)(number)
            if pause is not None:
                await asyncio.sleep(pause)
        await evening.end()
        await asyncio.sleep(LONGEST_CLOSED_PAUSE_S + 10)
        assert pool.ready == len(partner.open) == want
        assert not pool._in_use
        assert not pool._waiting
        dials = len(partner.dialled_at)
        await asyncio.sleep(2 * OLDEST_S)
        assert pool.ready == len(partner.open) == want
        assert len(partner.dialled_at) <= dials + 3 * want
        keeping.cancel()
        await asyncio.wait({keeping})
        pool.close()
        assert partner.open == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtually(story())


def test_over_real_tls_lost_connections_come_back(tls, ca_file):
    async def story():
        async with (
            Peer(answers(), context=tls) as peer,
            Asker(peer.port, ca_file, want=3, keep=True) as asker,
        ):
            await until(lambda: len(peer.lines) == 3)
            peer.lines[1].reset()
            await until(lambda: len(peer.lines) == 4 and asker.pool.ready == 3)
            assert (await asker.ask()).connection == "warm"
            await asker.ready()
            assert asker.dials == 4
            assert peer.requests == 1

    run(story())
