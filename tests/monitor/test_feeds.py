"""The feeds of open pages under a clock of their own: a view is shown, an event looked for, at once."""

import asyncio
import itertools

from virtual_loop import run_virtually

from gatectl.monitor.feeds import BEHIND, Broadcast, LiveFeeds
from gatectl.monitor.journal_worker import StoreState


class StillJournal:
    """A journal that a daemon writes, and in which nothing is new; `looked_at` are the times of the looks."""

    def __init__(self):
        self.looked_at = []

    async def seen(self):
        self.looked_at.append(asyncio.get_running_loop().time())
        return StoreState((1, 2), 3, 4, at_rest=False)


def test_a_view_is_shown_and_an_event_looked_for_at_once():
    async def story():
        loop, journal = asyncio.get_running_loop(), StillJournal()
        feeds = LiveFeeds(journal, None, ["main"])
        following = asyncio.create_task(feeds.follow_journal())
        with feeds.events.listening(), feeds.displays["main"].listening() as views:
            await asyncio.sleep(9.97)  # between two looks
            decided = loop.time()
            assert journal.looked_at[-1] < decided
            feeds._show(view)
            assert await anext(views) is view
            feeds.wake()
            await asyncio.sleep(0)
            assert journal.looked_at[-1] == loop.time() == decided
        following.cancel()

    view = {"door": "main", "screen": "welcome"}
    run_virtually(story())


def test_what_no_display_shows_is_seen_within_a_tenth_of_a_second():
    async def story():
        journal = StillJournal()
        feeds = LiveFeeds(journal, None, ["main"])
        following = asyncio.create_task(feeds.follow_journal())
        with feeds.events.listening():
            await asyncio.sleep(10)
        following.cancel()
        looks = journal.looked_at[1:]
        assert max(later - earlier for earlier, later in itertools.pairwise(looks)) <= 0.1

    run_virtually(story())


def test_what_comes_in_during_a_look_is_looked_for_at_once():
    class RestingJournal(StillJournal):
        """It wakes the feeds in their first look; else they look once a second."""

        async def seen(self):
            state = await super().seen()
            if len(self.looked_at) == 1:
                feeds.wake()
            return state._replace(at_rest=True)

    async def story():
        following = asyncio.create_task(feeds.follow_journal())
        with feeds.events.listening():
            await asyncio.sleep(0.5)
        following.cancel()
        assert len(journal.looked_at) == 2

    journal = RestingJournal()
    feeds = LiveFeeds(journal, None, ["main"])
    run_virtually(story())


def test_a_browser_that_is_too_far_behind_is_ended_and_no_other():
    async def story():
        broadcast = Broadcast()
        with broadcast.listening() as slow, broadcast.listening() as quick:
            for number in range(BEHIND + 1):
                broadcast.publish(number)
                assert await anext(quick) == number
            assert len(broadcast) == 1
            assert [news async for news in slow] == list(range(BEHIND))

    run_virtually(story())
