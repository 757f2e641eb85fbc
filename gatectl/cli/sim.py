"""`gatectl sim`: run the partner simulator alone, until SIGINT or SIGTERM.

It prints the path of its CA, settings to paste and the table of IDs; then a line per request, without keys.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import re
import signal
import time
from contextlib import AsyncExitStack

from rich.console import Console
from rich.table import Table

from gatectl.errors import GatectlError
from gatectl.sim.connection import Received
from gatectl.sim.protocols import PROTOCOLS
from gatectl.sim.server import Simulator

PORT_MAX = 65535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port",
        type=_port,
        default=0,
        metavar="N",
        help="the port on 127.0.0.1 to listen on (else any free one)",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until a signal ends it. GatectlError if the port is not available."""
    asyncio.run(_serve(args.port))
    return 0


def _port(text: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text, re.ASCII) or int(text) > PORT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 0 to {PORT_MAX}")
    return int(text)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _end, ended)

    def on_request(request: Received) -> None:
        try:
            print(_line(request), flush=True)
        except BrokenPipeError as error:
            # An error inside the event loop's callback would be lost: pass it to the awaiting side.
            _end(ended, error)

    async with AsyncExitStack() as stack:
        try:
            simulator = await stack.enter_async_context(Simulator(port, on_request=on_request))
        except OSError as error:
            raise _cannot_listen(port, error) from error
        _introduce(simulator)
        await ended


def _end(ended: asyncio.Future[None], error: Exception | None = None) -> None:
    """Complete `ended` with the first cause; ignore a second signal."""
    if ended.done():
        return
    if error is None:
        ended.set_result(None)
    else:
        ended.set_exception(error)


def _cannot_listen(port: int, error: OSError) -> GatectlError:
    match error.errno:
        case errno.EADDRINUSE:
            return GatectlError(
                f"port {port} is in use",
                "choose another with --port, or leave it out: any free one is taken",
            )
        case errno.EACCES:
            return GatectlError(
                f"port {port} is not open to this user",
                "choose one above 1023 with --port, or leave it out: any free one is taken",
            )
        case _:
            return GatectlError(f"the simulator cannot start: {error.strerror or error}")


def _introduce(simulator: Simulator) -> None:
    print(f"CA: {simulator.ca_file}\n")
    for protocol in PROTOCOLS:
        print(simulator.partner_section(protocol))
    _print_catalogue()
    print(f"\nListening on {simulator.host}, port {simulator.port}. Ctrl-C ends it.", flush=True)


def _print_catalogue() -> None:
    """Print the table of IDs. Rich reads NO_COLOR and the terminal's width itself."""
    notes = (protocol.id_note for protocol in PROTOCOLS.values() if protocol.id_note)
    table = Table(
        caption=" ".join(("Any other well-formed ID is not found.", *notes)), caption_justify="left"
    )
    table.add_column("Protocol", no_wrap=True)
    table.add_column("ID", no_wrap=True)
    table.add_column("The partner")
    table.add_column("gatectl", no_wrap=True)
    for protocol in PROTOCOLS.values():
        for scenario in protocol.catalogue():
            table.add_row(protocol.name, scenario.id, scenario.description, scenario.outcome)
        table.add_section()
    Console(highlight=False, markup=False).print(table)


def _line(request: Received) -> str:
    """Format one line per request; h11 admits only printable paths, but the member may need escapes."""
    member = "" if request.member is None else f" {_printable(request.member)}"
    head = f"{time.strftime('%H:%M:%S')} #{request.connection} {request.protocol or '-'}"
    return f"{head} {request.method} {request.path}{member}: {request.description}"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
