"""
The one way out: a CONNECT proxy that serves a run's own loopback from outside its network.

Only listed hosts, by exact name and port; only tunnels; only TLS that names the same
host; only so many bytes. Names are resolved here and nowhere else, once per connection,
and a name that leads to an address which is not public leads nowhere unless its
destination says so. Everything else is refused, and each attempt is put on record
before it is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
from dataclasses import dataclass

from intramural.walls.hello import Hidden, Incomplete, NotHello, named_host
from intramural.walls.record import Record

HEADER_BYTES = 8192
WAIT_SECONDS = 10.0
"""How long a run may take to say what it wants, and a host to answer."""
AT_A_TIME = 128
CHUNK = 65_536
ANSWERS = {200: "Connection established", 400: "Bad Request", 403: "Forbidden", 405: "Method Not Allowed", 502: "Bad Gateway"}


@dataclass
class Way:
    """One listed destination, and what has gone there."""

    host: str
    port: int
    private: bool
    up_left: int
    down_left: int


class Refused(Exception):
    """An attempt ends here."""

    def __init__(self, refusal: str, status: int = 403, host: str = "", port: int = 0) -> None:
        super().__init__(refusal)
        self.refusal = refusal
        self.status = status
        self.host = host
        self.port = port


class Proxy:
    """Serves the listener of one run."""

    def __init__(self, ways: list[Way], record: Record) -> None:
        self._ways = {(way.host, way.port): way for way in ways}
        self._record = record
        self._open = 0

    async def serve(self, listener: socket.socket, until: int) -> None:
        """Serve *listener* until the descriptor *until* is readable; what is open then is cut."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(until, ended.set)
        server = await asyncio.start_server(self._serve_one, sock=listener, limit=HEADER_BYTES)
        await ended.wait()
        loop.remove_reader(until)
        server.close()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the run hung up, or has ended; what it carried is on record
        finally:
            self._open -= 1
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()  # nobody reads; closing would wait
            else:
                writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            way = self._way(*await self._asked(reader))
            addresses = await _addresses(way)
        except Refused as refused:
            self._record.attempt(refused.host, refused.port, refused.refusal)
            await _say(writer, refused.status)
            return
        number = self._record.attempt(way.host, way.port, None)
        tunnel = _Tunnel(way, addresses, reader, writer)
        refusal: str | None = None
        try:
            await tunnel.carry()
        except Refused as refused:
            refusal = refused.refusal
        finally:
            tunnel.cut()
            self._record.closed(number, tunnel.up_bytes, tunnel.down_bytes, refusal)

    async def _asked(self, reader: asyncio.StreamReader) -> tuple[str, int]:
        """Read the request; return the host and port it names."""
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_SECONDS)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            raise Refused("malformed", 400) from None
        method, _, rest = head.split(b"\r\n", maxsplit=1)[0].decode("latin-1").partition(" ")
        target, _, version = rest.rpartition(" ")
        if method != "CONNECT":
            raise Refused("not_tunnel", 405, *_of_url(target))
        match = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]:/@\s]{1,253}):([0-9]{1,5})", target)
        if match is None or not version.startswith("HTTP/1."):
            raise Refused("malformed", 400)
        return match[1].lower(), int(match[2])

    def _way(self, host: str, port: int) -> Way:
        """Return the listed destination, or refuse."""
        if is_address(host):
            raise Refused("address", 403, host, port)
        way = self._ways.get((host, port))
        if way is None:
            raise Refused("not_listed", 403, host, port)
        if self._open > AT_A_TIME:
            raise Refused("too_many", 502, host, port)
        return way


class _Tunnel:
    """One allowed connection."""

    def __init__(self, way: Way, addresses: list[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._way = way
        self._addresses = addresses
        self._reader = reader
        self._writer = writer
        self._out: asyncio.StreamWriter | None = None
        self.up_bytes = 0
        self.down_bytes = 0

    async def carry(self) -> None:
        """Connect, check what is said first, and carry bytes both ways until one side ends."""
        try:
            from_host, self._out = await asyncio.wait_for(_connect(self._addresses, self._way.port), WAIT_SECONDS)
        except (OSError, TimeoutError):
            await _say(self._writer, 502)
            raise Refused("no_answer", 502) from None
        await _say(self._writer, 200)
        try:
            hello = await asyncio.wait_for(self._hello(), WAIT_SECONDS)
        except TimeoutError:
            raise Refused("not_tls") from None
        await self._up(hello)
        directions = [asyncio.ensure_future(self._pump_up()), asyncio.ensure_future(self._pump_down(from_host))]
        try:
            ended, _ = await asyncio.wait(directions, return_when=asyncio.FIRST_EXCEPTION)
            for each in ended:
                each.result()
        finally:
            for each in directions:
                each.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    def cut(self) -> None:
        """Let go of the host at once."""
        if self._out is not None:
            self._out.transport.abort()

    async def _hello(self) -> bytes:
        first = b""
        while True:
            chunk = await self._reader.read(CHUNK)
            first += chunk
            try:
                name = named_host(first)
            except NotHello:
                raise Refused("not_tls") from None
            except Hidden:
                raise Refused("hidden_name") from None
            if isinstance(name, Incomplete):
                if not chunk:
                    raise Refused("not_tls")
                continue
            if name != self._way.host:
                raise Refused("other_name")
            return first

    async def _pump_up(self) -> None:
        while chunk := await self._reader.read(CHUNK):
            await self._up(chunk)
        if self._out is not None and self._out.can_write_eof():
            self._out.write_eof()

    async def _up(self, chunk: bytes) -> None:
        if len(chunk) > self._way.up_left:
            raise Refused("up_bytes")
        self._way.up_left -= len(chunk)
        self.up_bytes += len(chunk)
        if self._out is not None:
            self._out.write(chunk)
            await self._out.drain()

    async def _pump_down(self, from_host: asyncio.StreamReader) -> None:
        while chunk := await from_host.read(CHUNK):
            if len(chunk) > self._way.down_left:
                raise Refused("down_bytes")
            self._way.down_left -= len(chunk)
            self.down_bytes += len(chunk)
            self._writer.write(chunk)
            await self._writer.drain()
        if self._writer.can_write_eof():
            self._writer.write_eof()


async def _addresses(way: Way) -> list[str]:
    """Return every address the name leads to; refuse when one of them is not public."""
    resolve = asyncio.get_running_loop().getaddrinfo(way.host, way.port, type=socket.SOCK_STREAM)
    try:
        found = await asyncio.wait_for(resolve, WAIT_SECONDS)
    except (OSError, UnicodeError):
        raise Refused("no_answer", 502, way.host, way.port) from None
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    if not way.private and not all(is_public(each) for each in addresses):
        raise Refused("private_address", 403, way.host, way.port)
    return addresses


async def _connect(addresses: list[str], port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to one of exactly these addresses, which were judged."""
    for address in addresses[:-1]:
        with contextlib.suppress(OSError):
            return await asyncio.open_connection(address, port)
    return await asyncio.open_connection(addresses[-1], port)


def is_public(address: str) -> bool:
    """Tell whether an address belongs to the public internet, and to no machine or network of one's own."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if inner is None and parsed in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return parsed.is_global and not parsed.is_multicast


def is_address(host: str) -> bool:
    """Tell whether *host* is an address in any way of writing that a resolver understands."""
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host.strip("[]").partition("%")[0])
        return True
    with contextlib.suppress(OSError):
        socket.inet_aton(host)  # also 127.1, 0x7f.1 and 2130706433
        return True
    return False


def _of_url(target: str) -> tuple[str, int]:
    """Return the host and port of a URL that was asked for in clear, as far as they can be read."""
    match = re.match(r"[a-z]+://(?:[^/@\s]*@)?([^/:@\s]{1,253})(?::([0-9]{1,5}))?(?:/|$)", target.lower())
    return (match[1], int(match[2] or 80)) if match else ("", 0)


async def _say(writer: asyncio.StreamWriter, status: int) -> None:
    close = "" if status == 200 else "Content-Length: 0\r\nConnection: close\r\n"
    writer.write(f"HTTP/1.1 {status} {ANSWERS[status]}\r\n{close}\r\n".encode())
    await writer.drain()
