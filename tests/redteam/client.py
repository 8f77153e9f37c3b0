"""A client inside the walls: goes through `steps.json`; prints each one's status or error, and the bytes it got."""

import json
import socket
from pathlib import Path

SECONDS = 5


def through_proxy(method, target, content):
    with socket.create_connection(("127.0.0.1", 3128), SECONDS) as connection:
        connection.sendall(content if method == "RAW" else f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head and (piece := connection.recv(1)):
            head += piece
        status = int(head.split()[1])
        if status != 200:
            return status, 0
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        received = 0
        try:
            while piece := connection.recv(65536):
                received += len(piece)
        except ConnectionResetError:
            pass
        return status, received


def around_proxy(method, target, content):
    host, _, port = target.rpartition(":")
    if method == "DIRECT6":
        host, port, family = target, 443, socket.AF_INET6
    else:
        family = socket.AF_INET
    kind = socket.SOCK_DGRAM if method == "DATAGRAM" else socket.SOCK_STREAM
    with socket.socket(family, kind) as connection:
        connection.settimeout(SECONDS)
        try:
            if kind == socket.SOCK_DGRAM:
                connection.sendto(b"x", (host, int(port)))
            else:
                connection.connect((host, int(port)))
        except OSError as error:
            return error.errno, 0
    return 0, 0


said = []
for method, target, content in json.loads(Path("steps.json").read_text()):
    work = around_proxy if method.startswith("D") else through_proxy
    said.append(work(method, target, bytes.fromhex(content)))
print(json.dumps(said))
