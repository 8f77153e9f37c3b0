"""The leak test looks at processes that go on working: what it looks at may be something else a moment later."""

import subprocess
import sys
import time

import pytest

from intramural.app.leak_test import watching
from intramural.app.leak_test.canaries import Nest
from intramural.app.leak_test.watching import Watch

RESTLESS = """
import os, socket, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
read_end, write_end = os.pipe()
os.write(write_end, b"kept")
os.set_blocking(read_end, False)
sockets = socket.socketpair()
others = [read_end, sockets[0].fileno()]
print("ready", flush=True)
while not os.path.exists(sys.argv[2]):
    for number in range(200, 216):
        for other in others:
            os.dup2(file, number)
            os.dup2(other, number)
print(os.read(read_end, 9).decode())
"""

SWAPPED = """
import os, socket, sys
os.dup2(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600), 200)
read_end, write_end = os.pipe()
os.write(write_end, b"kept")
os.set_blocking(read_end, False)
sockets = socket.socketpair()
print("ready", flush=True)
input()
folder = os.open("/", os.O_DIRECTORY)
os.dup2({"pipe": read_end, "socket": sockets[0].fileno(), "folder": folder}[sys.argv[2]], 200)
print("swapped", flush=True)
input()
print(os.read(read_end, 9).decode())
"""


@pytest.mark.parametrize("other", ["pipe", "socket", "folder"])
def test_a_descriptor_that_became_another_thing_since_it_was_looked_at_is_passed_over(tmp_path, monkeypatch, other):
    (tmp_path / "watched").mkdir()
    watch = Watch(Nest.new(), tmp_path / "watched", [], lambda path: [])
    arguments = [sys.executable, "-c", SWAPPED, str(tmp_path / "outside"), other]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        asked = []

        def swap(pid, descriptor):
            if descriptor == "200" and not asked:
                asked.append(descriptor)
                process.stdin.write("\n")
                process.stdin.flush()
                assert process.stdout.readline() == "swapped\n"
            return descriptor == "200"

        monkeypatch.setattr(watching, "_writes", swap)
        watch.look()
        said, _ = process.communicate("\n\n", timeout=60)

    assert asked == ["200"]
    assert said == "kept\n"
    assert watch.bytes == 0


def test_a_descriptor_that_becomes_a_pipe_or_a_socket_is_passed_over(tmp_path):
    (tmp_path / "watched").mkdir()
    watch = Watch(Nest.new(), tmp_path / "watched", [], lambda path: [])
    arguments = [str(tmp_path / "outside"), str(tmp_path / "enough")]
    with subprocess.Popen([sys.executable, "-c", RESTLESS, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        until = time.monotonic() + 2
        try:
            while time.monotonic() < until:
                (tmp_path / "outside").write_text(str(time.monotonic()))
                watch.look()
        finally:
            (tmp_path / "enough").touch()
        said = process.stdout.read()

    assert process.returncode == 0
    assert said == "kept\n"
    assert watch.bytes > 0


def test_a_secret_in_a_file_without_a_name_is_found(tmp_path):
    nest = Nest.new()
    secret = nest.lay("a row")
    (tmp_path / "watched").mkdir()
    watch = Watch(nest, tmp_path / "watched", [], lambda path: [])
    hiding = "import os, sys; f = os.memfd_create('x'); os.write(f, sys.stdin.buffer.readline()); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hiding], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(f"{secret.latin}\n".encode())
        process.stdin.flush()
        process.stdout.readline()
        watch.look()
        process.communicate(b"\n")

    assert [each.canary for each in watch.hits] == [secret.name]
