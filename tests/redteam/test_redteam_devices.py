"""A run has the device nodes that it was given and no other, at both levels; stand-ins are nodes that read as zeros."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from intramural.domain.confinement import Confinement, Level, Limits
from intramural.scheduler.executors.sight import gpu_nodes, run_confinement
from intramural.walls.launch import launch, python_view

ZERO = os.makedev(1, 5)
NAMES = (
    "nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-caps/nvidia-cap1", "dri/renderD128", "kfd",
)  # fmt: skip
OTHERS = ("sda", "mem", "dri/card0", "nvidia-modeset", "kvm")
ANY = {"limits": Limits(), "required": Level.NONE}


@pytest.fixture
def nodes(tmp_path):
    """A folder of devices, as a machine with GPUs has one."""
    for name in (*NAMES, *OTHERS):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        make_node(tmp_path / name)
    return tmp_path


def make_node(path):
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, ZERO)
        path.chmod(0o666)
        path.open("rb").close()
    except OSError as error:
        pytest.skip(f"no device node can be made here: {error.strerror}")


def test_the_nodes_of_gpus_are_passed_and_no_other(nodes):
    assert gpu_nodes({}, nodes) == tuple(sorted(str(nodes / name) for name in NAMES))


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"])
@pytest.mark.parametrize("nothing", ["", "-1", "none"])
def test_an_operator_hides_them_all(nodes, name, nothing):
    assert gpu_nodes({name: nothing}, nodes) == ()


def test_what_is_named_like_a_gpu_and_is_no_device_is_not_passed(tmp_path):
    (tmp_path / "nvidia0").write_text("a file")
    (tmp_path / "nvidia1").symlink_to("/dev/zero")

    assert gpu_nodes({}, tmp_path) == ()


def test_a_run_that_the_policy_gives_no_gpu_has_no_node_of_one(tmp_path, monkeypatch):
    monkeypatch.setattr("intramural.scheduler.executors.sight.gpu_nodes", lambda _: ("/dev/nvidia0",))

    given, kept = (run_confinement(tmp_path / "home", {}, tmp_path / "run", gpus=each, **ANY) for each in (True, False))

    assert (given.devices, kept.devices) == (("/dev/nvidia0",), ())


READ = 'for each in "$@"; do head -c 4 "$each" | od -An -tx1 || echo no; done; ls -d /sys/class >/dev/null && echo about'


@pytest.fixture
def stand_ins():
    """Two nodes of this machine, one of which a run is given."""
    if os.getuid() != 0:
        pytest.skip("only the administrator makes device nodes")
    made = [Path(f"/dev/intramural-test-{os.getpid()}-{number}") for number in (1, 2)]
    try:
        for each in made:
            make_node(each)
        yield made
    finally:
        for each in made:
            each.unlink(missing_ok=True)


@pytest.mark.parametrize("level", [Level.NAMESPACES, Level.LANDLOCK])
def test_a_run_opens_the_device_it_was_given_and_cannot_open_another(stand_ins, level, tmp_path):
    given, other = stand_ins
    zeros = b" 00 00 00 00"

    with_device = say(tmp_path / "with", level, (str(given),), given, other)
    without = say(tmp_path / "without", level, (), given, other)

    assert zeros in with_device
    assert with_device.count(zeros) == 1
    assert zeros not in without
    assert subprocess.run(["/usr/bin/head", "-c", "4", other], capture_output=True, check=True).stdout == bytes(4)


NAME = """
echo named > /proc/self/task/$$/comm && cat /proc/$$/comm
cd /proc
for each in sys/kernel/core_pattern sys/vm/drop_caches sysrq-trigger mtrr irq/default_smp_affinity; do
    test ! -e "$each" || (: >> "$each") 2>/dev/null && test -e "$each" && echo "opened $each"
done
echo over
"""


@pytest.mark.parametrize("level", [Level.NAMESPACES, Level.LANDLOCK])
def test_a_run_with_a_device_names_its_threads_as_cuda_does_and_writes_nothing_else_of_proc(stand_ins, level, tmp_path):
    with_device = say(tmp_path / "with", level, (str(stand_ins[0]),), script=NAME)
    without = say(tmp_path / "without", level, (), script=NAME)

    assert with_device.split() == [b"named", b"over"]
    assert b"opened" not in without
    assert b"named" not in without.split()


LISTEN = """
import socket, sys
own = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
own.bind("\\0" + sys.argv[1])
own.listen()
print("listens")
for kind in (socket.SOCK_SEQPACKET, socket.SOCK_STREAM, socket.SOCK_DGRAM):
    try:
        other = socket.socket(socket.AF_UNIX, kind)
        other.connect(sys.argv[2])
        print("connected")
    except OSError:
        pass
"""


@pytest.mark.parametrize("level", [Level.NAMESPACES, Level.LANDLOCK])
def test_a_run_with_a_device_listens_under_a_local_name_as_cuda_does_and_connects_to_nobody(stand_ins, level, tmp_path):
    door = tmp_path / "door"
    command = [sys.executable, "-I", "-S", "-c", LISTEN, f"intramural-test-{os.getpid()}", str(door)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(door))
        listener.listen()
        listener.setblocking(False)

        said = run(tmp_path / "run", level, (str(stand_ins[0]),), command)

        with pytest.raises(BlockingIOError):
            listener.accept()
    assert said.split() == [b"listens"]


def say(folder, level, devices, *paths, script=READ):
    return run(folder, level, devices, ["/bin/sh", "-c", script, "sh", *map(str, paths)])


def run(folder, level, devices, command):
    (folder / "run").mkdir(parents=True)
    with open(folder / "said", "w+b") as said:
        wish = Confinement(run_directory=str(folder / "run"), devices=devices, required=level, read_only=python_view())
        confined = launch(command, wish, folder=folder, level=level, output=said.fileno())
        assert confined.wait(20)
        said.seek(0)
        return said.read()
