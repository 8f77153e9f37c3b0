"""Real key providers and object stores on loopback: started for the tests that need them, ended after."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import urllib3

BIN = Path(sys.executable).parent
ROOT_CREDENTIAL = "root-of-the-tests"


def free_port():
    """Return a port that is free, and so is the one ten thousand above, where SeaweedFS talks to itself."""
    while True:
        port = random.randrange(15_000, 22_000)  # noqa: S311 - any will do
        with socket.socket() as one, socket.socket() as other, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 10_000))
            return port


@contextlib.contextmanager
def a_server(command, answers, *, log, env=None, seconds=300):
    """Run *command* until the block ends; wait until *answers* says that it serves."""
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=env)
        try:
            until = time.monotonic() + seconds
            while not answers():
                assert process.poll() is None, Path(log).read_text()[-2000:]
                assert time.monotonic() < until, Path(log).read_text()[-2000:]
                time.sleep(0.05)
            yield process
        finally:
            process.kill()
            process.wait()


def serves(url, ok=(200,)):
    """Tell whether *url* answers with one of the statuses *ok*."""

    def ask():
        try:
            return urllib3.request("GET", url, timeout=20, retries=False).status in ok
        except urllib3.exceptions.HTTPError:
            return False

    return ask


def program(name):
    """Return the path of a program beside the interpreter or on the path; skip the test without it."""
    found = BIN / name if (BIN / name).exists() else shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed: make test installs the group servers")
    return str(found)


@contextlib.contextmanager
def an_openbao(folder):
    """Yield the address of a development server with a transit engine."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [
        program("bao"),
        "server",
        "-dev",
        f"-dev-root-token-id={ROOT_CREDENTIAL}",
        f"-dev-listen-address=127.0.0.1:{port}",
    ]
    env = {**os.environ, "HOME": str(folder)}
    with a_server(command, serves(f"{address}/v1/sys/health"), log=folder / "bao.log", env=env) as process:
        mount = {"url": f"{address}/v1/sys/mounts/transit", "method": "POST", "body": b'{"type": "transit"}'}
        assert urllib3.request(**mount, headers={"X-Vault-Token": ROOT_CREDENTIAL}).status == 204
        yield address, process


def seaweed_ports():
    """Return four ports for a server of SeaweedFS."""
    ports = set()
    while len(ports) < 4:
        ports.add(free_port())
    return tuple(ports)


@contextlib.contextmanager
def a_seaweed(folder, ports=None):
    """Yield the address of an S3 server with one identity; with the same *folder* and *ports* it is the same again."""
    port, filer, master, volume = ports or seaweed_ports()
    (folder / "s3.json").write_text(
        '{"identities": [{"name": "tests", "credentials": [{"accessKey": "tests", "secretKey": "secret-of-the-tests"}],'
        ' "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}'
    )
    (folder / "data").mkdir(exist_ok=True)
    command = [
        program("weed"), "-logtostderr", "server", "-s3", "-filer", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-dir={folder / 'data'}", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
        f"-s3.port={port}", f"-filer.port={filer}", f"-master.port={master}", f"-volume.port={volume}", "-volume.max=50",
        "-master.volumeSizeLimitMB=64", f"-s3.config={folder / 's3.json'}",
    ]  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        with a_server(command, serves(address, ok=(200, 403)), log=folder / "weed.log") as process:
            yield address, process
    finally:
        for each in (port, filer, master, volume):  # its sockets lie there whatever TMPDIR says, and outlive a kill
            for number in (each, each + 10_000):
                for left in Path("/tmp").glob(f"seaweedfs-*-{number}.sock"):  # noqa: S108 - as above
                    left.unlink(missing_ok=True)


@contextlib.contextmanager
def a_moto(folder):
    """Yield the address of a stand-in for AWS."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [program("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with a_server(command, serves(f"{address}/moto-api/"), log=folder / "moto.log") as process:
        yield address, process


SOFTHSM = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)


def a_softhsm(folder, monkeypatch):
    """Make a token in *folder*; return the address and the file with its PIN. Skips where SoftHSM is not installed."""
    module = next((each for each in SOFTHSM if Path(each).exists()), None)
    tool = shutil.which("softhsm2-util")
    if module is None or tool is None:
        pytest.skip("SoftHSM is not installed: the package softhsm2 of the system has it")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
    command = [tool, "--init-token", "--free", "--label", "tests", "--pin", "1234", "--so-pin", "1234"]
    subprocess.run(command, check=True, capture_output=True)
    pin = secret_file(folder / "pin", "1234")
    return f"{module}?token=tests", pin


def secret_file(path, secret):
    path.touch(mode=0o600)
    path.write_text(secret + "\n")
    return path
