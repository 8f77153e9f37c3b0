"""The leak test looks at processes that go on working: what it looks at may be something else a moment later."""

import subprocess
import sys
import time

from intramural.app.leak_test.canaries import Nest
from intramural.app.leak_test.watching import Watch

RESTLESS = """
import os, socket, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
read_end, write_end = os.pipe()
os.write(write_end, b"kept")
sockets = socket.socketpair()
others = [read_end, sockets[0].fileno()]
print("ready", flush=True)
while not os.path.exists(sys.argv[2]):
    for other in others:
        os.dup2(file, 200)
        os.dup2(other, 200)
print(os.read(read_end, 9).decode())
"""


def test_a_descriptor_that_becomes_a_pipe_or_a_socket_is_passed_over(tmp_path):
    (tmp_path / "watched").mkdir()
    watch = Watch(Nest.new(), tmp_path / "watched", [], lambda path: [])
    arguments = [str(tmp_path / "outside"), str(tmp_path / "enough")]
    with subprocess.Popen([sys.executable, "-c", RESTLESS, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        until = time.monotonic() + 2
        while time.monotonic() < until:
            (tmp_path / "outside").write_text(str(time.monotonic()))
            watch.look()
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
