"""
A trainer behind the contract that is hostile: it tries every probe and every way out, and leaves what it found.

It learns what to attack from an `asked.json` on Python's path: `world`, `names` of probes,
`rounds`, `delay`, `seed` (of the order of the probes and of the pauses before each), and `ways`,
each a host and port to ask the proxy for and the name that its TLS greeting says.
"""

import contextlib
import json
import os
import random
import socket
import ssl
import time
from pathlib import Path

import probes

from intramural.domain.workload import WorkloadSpec
from intramural.workloads.run_keys import files_of

PROXY = ("127.0.0.1", 3128)
SECONDS = 5


def main(run: Path) -> int:
    places = (Path(each) / "asked.json" for each in os.environ["PYTHONPATH"].split(os.pathsep))
    asked = json.loads(next(each for each in places if each.exists()).read_text())
    spec = WorkloadSpec.model_validate_json((run / "spec.json").read_bytes())
    _, files = files_of(spec)
    world = probes.World(asked["world"])
    chance, names = random.Random(asked["seed"]), asked["names"]  # noqa: S311 - moments of a test
    found = [
        {name: tried(name, world, chance.uniform(0, asked["delay"])) for name in chance.sample(names, len(names))}
        for _ in range(asked["rounds"])
    ]
    ways = [through(*each) for each in asked["ways"]]
    said = {"found": found, "ways": ways, "around": around(), "processes": processes(), "uid": os.getuid()}
    (run / "outputs" / "adapter").mkdir(parents=True)
    body = files.body(json.dumps(said).encode(), "adapter/found.json")
    (run / "outputs" / "adapter" / "found.json").write_bytes(body)
    event = {"type": "outcome", "at": time.time(), "outcome": "succeeded"}
    with (run / "events.jsonl").open("a") as file:
        file.write(json.dumps(event) + "\n")
    return 0


def tried(name, world, delay):
    time.sleep(delay)
    try:
        getattr(probes, name)(world)
    except (OSError, MemoryError) as error:
        return f"{type(error).__name__} {getattr(error, 'errno', '')}"
    return "reached"


def through(host, port, name):
    """Ask the proxy for a tunnel, greet as a TLS client would; return the status and the bytes that came back."""
    try:
        with socket.create_connection(PROXY, SECONDS) as connection:
            connection.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head = b""
            while b"\r\n\r\n" not in head and (piece := connection.recv(1)):
                head += piece
            status, received = int(head.split()[1]), 0
            if status == 200:
                connection.sendall(hello(name))
                connection.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionResetError):
                    while piece := connection.recv(65536):
                        received += len(piece)
            return [status, received]
    except OSError as error:
        return [type(error).__name__, 0]


def around():
    """Try the network without the proxy."""
    try:
        socket.create_connection(("192.0.2.1", 443), 1).close()
    except OSError as error:
        return type(error).__name__
    return "reached"


def processes():
    """Count the processes it sees; none where it may not look."""
    try:
        return len([each for each in os.listdir("/proc") if each.isdigit()])
    except OSError:
        return None


def hello(name):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()
