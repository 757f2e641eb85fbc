"""A head office without a database: `python -m speed.office FOLDER PORT` marks each event that comes.

A gate under measurement shares this machine with it, which no gate does with a head office: so it does what
ingest answers, by ingest's own rules, and nothing else.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import aiomqtt

from gatectl.fleet.authority import INGEST
from gatectl.fleet.intake import Intake, Round, incoming
from gatectl.uplink.head_office import mark_of
from gatectl.uplink.wire import Channel, Topic, encode_mark, subscription, topic_of


async def _serve(folder: Path, port: int) -> None:
    intake = Intake()
    tls = aiomqtt.TLSParameters(
        str(folder / "ca.crt"), str(folder / "ingest.crt"), str(folder / "ingest.key")
    )
    version = aiomqtt.ProtocolVersion.V5
    async with aiomqtt.Client(
        "127.0.0.1", port, identifier=INGEST, tls_params=tls, protocol=version
    ) as client:
        for channel in (Channel.EVENTS, Channel.STATE):
            await client.subscribe(subscription(channel), qos=1)
        print("ready", flush=True)
        async for message in client.messages:
            properties = tuple(getattr(message.properties, "UserProperty", ()))
            done = Round()
            intake.take(
                done, incoming(topic_of(str(message.topic)), message.payload, properties), datetime.now(UTC)
            )
            intake.commit(done)
            for (device, journal), (answer, _) in done.answers.items():
                mark = encode_mark(mark_of(intake.streams[device, journal], answer)).data
                await client.publish(str(Topic(device, Channel.MARK)), mark, qos=1, retain=True)


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
