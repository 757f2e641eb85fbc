"""Send the gates their marks: at once after a commit; once a second at most to one that repeats itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple, Never

import aiomqtt

from gatectl.fleet.intake import Intake, Place
from gatectl.uplink.head_office import Answer, Stream, mark_of
from gatectl.uplink.wire import WINDOW, Channel, Topic, encode_mark

REPEAT_S = 1.0
"""Between two marks to one gate that say the same."""

UNDER_WAY_MAX = 1000
"""Marks that the broker has not acknowledged. It says nothing about the gate, but bounds the memory."""

ACKNOWLEDGE_S = 60.0
"""A broker that takes longer is about to be lost: keepalive finds it out within so long."""

SLOW_S = 1.0
"""A commit that takes longer than this, or messages waiting for longer, slow the gates down."""
SLOW_WINDOW = 16
"""Less than one batch, so that a thousand gates wait without a gap in their order."""
WAITING_MAX = 1000
"""Messages that wait for the database."""


def window_of(commit_s: float, waiting: int) -> int:
    """Return how far gates may go beyond the mark, by the last commit's time and the messages that wait."""
    return SLOW_WINDOW if commit_s > SLOW_S or waiting > WAITING_MAX else WINDOW


class _Pending(NamedTuple):
    stream: Stream
    answer: Answer
    due_s: float


class Marks:
    """The marks that are to be sent, the latest of each device."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._pending: dict[str, _Pending] = {}
        self._sent_s: dict[str, float] = {}
        self._changed = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self.window = WINDOW

    def answer(self, answers: Mapping[Place, tuple[Answer, bool]], intake: Intake) -> None:
        """Take a round's answers, after its commit."""
        for (device, journal), (answer, has_moved) in answers.items():
            self._add(device, intake.streams[device, journal], answer, at_once=has_moved)

    def all_again(self, intake: Intake) -> None:
        """Ask every device for what lies beyond its mark: the broker may have lost everything."""
        for device, journal in intake.current.items():
            self._add(device, intake.streams[device, journal], Answer.AGAIN, at_once=True)

    async def pause(self, intake: Intake) -> None:
        """Send every device a window of 0, until marks come again."""
        self.window = 0
        for device, journal in intake.current.items():
            self._add(device, intake.streams[device, journal], Answer.MARK, at_once=True)
        self._send_due()
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def keep_sending(self) -> Never:
        """Send marks when they are due."""
        while True:
            await self._wait()
            self._send_due()
            while len(self._under_way) > UNDER_WAY_MAX:
                await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)

    def _add(self, device: str, stream: Stream, answer: Answer, *, at_once: bool) -> None:
        now_s = asyncio.get_running_loop().time()
        before = self._pending.get(device)
        due_s = now_s if at_once else max(now_s, self._sent_s.get(device, 0.0) + REPEAT_S)
        if before:
            due_s = min(due_s, before.due_s)
            answer = Answer.AGAIN if Answer.AGAIN in {answer, before.answer} else answer
        self._pending[device] = _Pending(stream, answer, due_s)
        self._changed.set()

    async def _wait(self) -> None:
        """Return when a mark is due."""
        now_s = asyncio.get_running_loop().time()
        next_s = min((one.due_s for one in self._pending.values()), default=None)
        if next_s is not None and next_s <= now_s:
            return
        self._changed.clear()
        try:
            async with asyncio.timeout(None if next_s is None else next_s - now_s):
                await self._changed.wait()
        except TimeoutError:
            return

    def _send_due(self) -> None:
        now_s = asyncio.get_running_loop().time()
        due = {device: one for device, one in self._pending.items() if one.due_s <= now_s}
        for device, one in due.items():
            del self._pending[device]
            self._sent_s[device] = now_s
            task = asyncio.create_task(self._send(device, one))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _send(self, device: str, one: _Pending) -> None:
        payload = encode_mark(mark_of(one.stream, one.answer, self.window)).data
        topic = str(Topic(device, Channel.MARK))
        try:
            await self._client.publish(topic, payload, qos=1, retain=True, timeout=ACKNOWLEDGE_S)
        except aiomqtt.MqttError:
            return  # whoever reads from the broker sees the same, and begins a new connection
