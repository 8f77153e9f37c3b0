"""A machine to attack: services on every kind of socket, a home with keys and a database, and users to attack it as."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from chance import seeded
from ordinary import EVERYBODY, become, uid_of

HERE = Path(__file__).parent
EVERYWHERE = ("0.0.0.0", 0)  # noqa: S104 - the services must be reachable at every address, or no probe proves anything
CANARY = "canary-5d1f"
AT_ONCE = 4


@pytest.fixture(scope="session")
def world():
    """The services and files of a machine; they answer whoever reaches them."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redteam-")))
        folder.chmod(0o711)
        tcp = serve(stack, socket.AF_INET, EVERYWHERE)
        udp = serve(stack, socket.AF_INET, EVERYWHERE, socket.SOCK_DGRAM)
        tcp6 = serve(stack, socket.AF_INET6, ("::1", 0))
        serve(stack, socket.AF_UNIX, str(folder / "service.sock"))
        (folder / "service.sock").chmod(0o777)
        abstract = f"redteam-{os.getpid()}"
        serve(stack, socket.AF_UNIX, "\0" + abstract)
        yield {
            "folder": str(folder),
            "address": own_address(),
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "tcp6": tcp6.getsockname()[1],
            "unix": str(folder / "service.sock"),
            "abstract": abstract,
            "canary": CANARY,
        }


@dataclass(frozen=True)
class Attacker:
    """A user, and the home that is that user's own."""

    uid: int
    world: dict

    def run(self, command):
        """Run a command as this user."""
        return subprocess.run([*become(self.uid), *command], capture_output=True, text=True, check=False, timeout=300)

    def attack(self, level, names, repeats=1, *, at_once=1, **limits):
        """
        Run the probes *names* and return what each repeat found.

        With *at_once*, so many processes attack side by side, *repeats* times each, every one in an order of its own.
        """
        if at_once == 1:
            return self._attack("world.json", level, names, repeats, limits)
        chance = seeded()
        orders = [chance.sample(names, len(names)) for _ in range(at_once)]
        with ThreadPoolExecutor(at_once) as threads:
            each = threads.map(lambda n: self._attack(f"world-{n}.json", level, orders[n], repeats, limits), range(at_once))
            return [found for rounds in each for found in rounds]

    def _attack(self, file, level, names, repeats, limits):
        file = Path(self.world["home"]) / file
        done = self.run([sys.executable, str(HERE / "drive.py"), str(file), level, str(repeats), json.dumps(limits), *names])
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session", params=EVERYBODY)
def attacker(request, world):
    """Whoever runs the platform: the administrator, or an ordinary user."""
    uid = uid_of(request.param)
    home = Path(world["folder"]) / f"home-{uid}"
    # Made anew for every file of tests: where files run side by side, both attackers are asked for in turn.
    (home / "runs" / "other").mkdir(parents=True, exist_ok=True)
    (home / "scratch").mkdir(exist_ok=True)
    (home / "secret").write_text(CANARY)
    (home / "intramural.db").write_text("rows")
    (home / "customer.key").write_text("key")
    mine = {
        "home": str(home),
        "secret": str(home / "secret"),
        "database": str(home / "intramural.db"),
        "key": str(home / "customer.key"),
        "other_run": str(home / "runs" / "other"),
        "scratch": str(home / "scratch"),
        "segment": 0x5D100000 + uid,
        "bomb_processes": 400,
        "bomb_bytes": 128 * 2**20,
    }
    (home / "world.json").write_text(json.dumps(world | mine))
    for number in range(AT_ONCE):  # who attacks beside others has shared memory of its own, and removes it at the end
        own = {"segment": mine["segment"] + (number + 1) * 2**17}
        (home / f"world-{number}.json").write_text(json.dumps(world | mine | own))
    for path in (home, *home.rglob("*")):
        os.chown(path, uid, uid)
        path.chmod(0o700 if path.is_dir() else 0o600)
    return Attacker(uid, world | mine)


def serve(stack, family, address, kind=socket.SOCK_STREAM):
    """Answer everyone on *address* until the stack is closed."""
    listener = stack.enter_context(socket.socket(family, kind))
    listener.bind(address)
    if kind == socket.SOCK_STREAM:
        listener.listen(64)
    threading.Thread(target=_answer, args=(listener, kind), daemon=True).start()
    return listener


def _answer(listener, kind):
    while True:
        try:
            if kind == socket.SOCK_DGRAM:
                listener.sendto(b"answer", listener.recvfrom(512)[1])
            else:
                threading.Thread(target=_echo, args=(listener.accept()[0],), daemon=True).start()
        except OSError:
            return


def _echo(connection):
    with connection, contextlib.suppress(OSError):
        while connection.recv(512):
            connection.sendall(b"answer")


def own_address():
    """An address of this machine that is not its loopback; the loopback's when it has no other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return probe.getsockname()[0]
