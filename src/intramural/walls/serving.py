"""Run the proxy of a supervisor on an event loop of its own, for as long as its process lives."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

from intramural.walls.proxy import Proxy, Way
from intramural.walls.record import Record


def serve(listener: socket.socket, egress: list[dict[str, Any]], record: Record, until: int) -> None:
    """Serve until the descriptor *until* is readable; do not wait for a name that is still being resolved."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # it would quote addresses; the record tells what happened
    listener.setblocking(False)
    ways = [Way(each["host"], each["port"], each["private"], each["up_bytes"], each["down_bytes"]) for each in egress]
    loop = asyncio.new_event_loop()
    loop.run_until_complete(Proxy(ways, record).serve(listener, until))
