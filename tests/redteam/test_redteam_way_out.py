"""The one way out: what is listed is reached by name and over TLS, the rest is refused, and all is on record."""

import contextlib
import json
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

import pytest

from chance import seeded
from intramural.domain.confinement import Confinement, Destination, Level
from intramural.domain.receipt import Refusal
from intramural.walls.launch import launch
from intramural.walls.receipts import read_receipt

CLIENT = Path(__file__).with_name("client.py")
REPEATS = 20


@pytest.fixture
def upstream():
    """A host on this machine's loopback; it counts what comes in and answers each piece with ten bytes for one."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        seen = []

        def serve():
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection):
            with connection, contextlib.suppress(OSError):
                while piece := connection.recv(65536):
                    seen.append(piece)
                    connection.sendall(b"0123456789" * len(piece))

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], seen


def hello(name):
    """What a TLS client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    if name is None:
        context.check_hostname = False
    connection = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


def ask(tmp_path, steps, *egress):
    """Run a client inside the walls that goes through *steps*; return what it saw, and the receipt."""
    script = [[each.hex() if isinstance(each, bytes) else each for each in step] for step in steps]
    with open(tmp_path / "said", "w+") as said:
        wish = Confinement(read_only=(str(CLIENT),), egress=egress)
        command = (
            ["/usr/bin/python3", "-I", "-S", str(CLIENT)]
            if Path("/usr/bin/python3").exists()
            else [sys.executable, str(CLIENT)]
        )
        confined = launch(command, wish, folder=tmp_path, level=Level.NAMESPACES, output=said.fileno(), hold=True)
        (confined.run / "steps.json").write_text(json.dumps(script))
        time.sleep(seeded().uniform(0, 0.03))
        confined.release()
        assert confined.wait(60)
        confined.close()
        said.seek(0)
        text = said.read()
    return json.loads(text.splitlines()[-1]), read_receipt(tmp_path)


def test_a_listed_host_is_reached_and_its_bytes_are_counted(tmp_path, upstream):
    port, seen = upstream
    first = hello("localhost")

    said, receipt = ask(
        tmp_path, [["CONNECT", f"localhost:{port}", first]], Destination(host="localhost", port=port, private=True)
    )

    assert said == [[200, 10 * len(first)]]
    assert b"".join(seen) == first
    [attempt] = receipt.attempts
    assert (attempt.host, attempt.port, attempt.allowed, attempt.refusal) == ("localhost", port, True, None)
    assert (attempt.up_bytes, attempt.down_bytes) == (len(first), 10 * len(first))
    assert receipt.complete


def test_the_listener_is_there_every_time(tmp_path, upstream):
    """A namespace that is entered through the wrong door is open now and then only."""
    port, _ = upstream
    for each in range(REPEATS):
        folder = tmp_path / str(each)
        folder.mkdir()
        said, _ = ask(
            folder,
            [["CONNECT", f"localhost:{port}", hello("localhost")]],
            Destination(host="localhost", port=port, private=True),
        )
        assert said[0][0] == 200


def test_nothing_is_listed_and_every_attempt_is_on_record(tmp_path):
    steps = [
        ["CONNECT", "huggingface.co:443", b""],
        ["CONNECT", "1.1.1.1:443", b""],
        ["CONNECT", "[::1]:443", b""],
        ["CONNECT", "0x7f.1:443", b""],
        ["CONNECT", "2130706433:443", b""],
        ["GET", "http://user:secret@example.org/path?query", b""],
        ["CONNECT", "no port", b""],
        ["RAW", "", b"\x16\x03\x01nonsense\r\n\r\n"],
    ]

    said, receipt = ask(tmp_path, steps)

    assert [status for status, _ in said] == [403, 403, 403, 403, 403, 405, 400, 405]
    found = [(each.host, each.port, each.refusal) for each in receipt.attempts]
    assert found == [
        ("huggingface.co", 443, Refusal.NOT_LISTED),
        ("1.1.1.1", 443, Refusal.ADDRESS),
        ("[::1]", 443, Refusal.ADDRESS),
        ("0x7f.1", 443, Refusal.ADDRESS),
        ("2130706433", 443, Refusal.ADDRESS),
        ("example.org", 80, Refusal.NOT_TUNNEL),
        ("", 0, Refusal.MALFORMED),
        ("", 0, Refusal.NOT_TUNNEL),
    ]
    assert not any(each.allowed for each in receipt.attempts)
    assert "secret" not in (tmp_path / "receipt.jsonl").read_text()


def test_host_and_port_must_both_be_listed(tmp_path, upstream):
    port, seen = upstream
    listed = Destination(host="localhost", port=port, private=True)
    steps = [
        ["CONNECT", f"localhost:{port + 1}", b""],
        ["CONNECT", f"sub.localhost:{port}", b""],
        ["CONNECT", f"localhost.:{port}", b""],
    ]

    said, receipt = ask(tmp_path, steps, listed)

    assert [status for status, _ in said] == [403, 403, 403]
    assert {each.refusal for each in receipt.attempts} == {Refusal.NOT_LISTED}
    assert seen == []


def test_a_public_name_that_leads_to_a_private_address_leads_nowhere(tmp_path, upstream):
    port, seen = upstream

    said, receipt = ask(
        tmp_path, [["CONNECT", f"localhost:{port}", hello("localhost")]], Destination(host="localhost", port=port)
    )

    assert said[0][0] == 403
    assert [(each.allowed, each.refusal) for each in receipt.attempts] == [(False, Refusal.PRIVATE_ADDRESS)]
    assert seen == []


@pytest.mark.parametrize(
    ("first", "refusal"),
    [
        (hello("other.example"), Refusal.OTHER_NAME),
        (hello(None), Refusal.OTHER_NAME),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", Refusal.NOT_TLS),
        (b"SSH-2.0-client\r\n", Refusal.NOT_TLS),
        (hello("localhost")[:40], Refusal.NOT_TLS),
    ],
    ids=["another name", "no name", "http", "ssh", "cut off"],
)
def test_the_first_bytes_must_be_tls_that_names_the_host(tmp_path, upstream, first, refusal):
    port, seen = upstream

    said, receipt = ask(
        tmp_path, [["CONNECT", f"localhost:{port}", first]], Destination(host="localhost", port=port, private=True)
    )

    assert said == [[200, 0]]
    assert [(each.allowed, each.refusal, each.up_bytes) for each in receipt.attempts] == [(True, refusal, 0)]
    assert seen == []


def test_a_run_sends_and_receives_so_many_bytes_in_all_its_connections(tmp_path, upstream):
    port, seen = upstream
    first = hello("localhost")
    step = ["CONNECT", f"localhost:{port}", first]
    little_up = Destination(host="localhost", port=port, private=True, up_bytes=len(first) * 2 + 10)

    said, receipt = ask(tmp_path, [step, step, step], little_up)

    assert [status for status, _ in said] == [200, 200, 200]
    assert [each.refusal for each in receipt.attempts] == [None, None, Refusal.UP_BYTES]
    assert len(b"".join(seen)) == 2 * len(first)


def test_what_comes_back_has_a_limit_too(tmp_path, upstream):
    port, _ = upstream
    first = hello("localhost")
    little_down = Destination(host="localhost", port=port, private=True, down_bytes=len(first) * 10 - 1)

    said, receipt = ask(tmp_path, [["CONNECT", f"localhost:{port}", first]], little_down)

    assert said[0][1] < len(first) * 10
    assert receipt.attempts[0].refusal is Refusal.DOWN_BYTES


def test_a_listed_host_that_does_not_answer_is_on_record(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    said, receipt = ask(
        tmp_path, [["CONNECT", f"localhost:{port}", b""]], Destination(host="localhost", port=port, private=True)
    )

    assert said[0][0] == 502
    assert receipt.attempts[0].refusal is Refusal.NO_ANSWER


def test_connections_around_the_proxy_are_counted(tmp_path):
    steps = [
        ["DIRECT", "192.0.2.1:443", b""],
        ["DIRECT", "192.0.2.1:443", b""],
        ["DATAGRAM", "192.0.2.1:53", b""],
        ["DIRECT6", "2001:db8::1", b""],
    ]

    said, receipt = ask(tmp_path, steps)

    assert [status for status, _ in said] == [101, 101, 101, 101]  # the network is unreachable
    assert receipt.around_proxy == 4
    assert receipt.attempts == ()
