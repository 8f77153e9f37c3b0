"""The filter of system calls, judged by a small machine that runs it as the kernel would."""

import errno
import struct

import pytest

from intramural.walls import bpf, syscalls
from intramural.walls.syscalls import ALLOW, ARCHITECTURES, DENIED, KILL, REFUSE, UNJUDGED, filter_for

EPERM, ENOSYS = REFUSE | errno.EPERM, REFUSE | errno.ENOSYS
BOTH = pytest.mark.parametrize("machine", sorted(ARCHITECTURES))


def judge(program, machine, number, *arguments, audit=None):
    """Run a filter on one call and return its verdict."""
    architecture = ARCHITECTURES[machine].audit if audit is None else audit
    values = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    call = struct.pack("=IIQ6Q", number, architecture, 0, *(each & 0xFFFFFFFFFFFFFFFF for each in values))
    place, word = 0, 0
    while True:
        code, then, otherwise, operand = struct.unpack_from("=HBBI", program, place * 8)
        place += 1
        if code == bpf.LOAD_WORD:
            word = struct.unpack_from("=I", call, operand)[0]
        elif code == bpf.MASK:
            word &= operand
        elif code == bpf.IF_EQUAL:
            place += then if word == operand else otherwise
        elif code == bpf.IF_ANY_BIT:
            place += then if word & operand else otherwise
        elif code == bpf.RETURN:
            return operand
        else:
            raise AssertionError(f"unknown instruction {code:#x}")


@BOTH
def test_what_is_named_is_refused_and_the_rest_passes(machine):
    program = filter_for(machine)
    column = ARCHITECTURES[machine].column
    denied = {numbers[column] for numbers in DENIED.values()} - {None}
    special = {getattr(ARCHITECTURES[machine], name) for name in ("clone", "clone3", "socket", "socketpair", "ioctl")}

    for number in range(600):
        expected = EPERM if number in denied else None if number in special else ALLOW
        assert expected is None or judge(program, machine, number) == expected, number


@BOTH
def test_calls_of_another_convention_end_the_process(machine):
    program = filter_for(machine)

    assert judge(program, machine, 1, audit=0x40000003) == KILL
    assert machine != "x86_64" or judge(program, machine, 0x40000000 | 39) == KILL


@BOTH
def test_without_sockets_a_device_is_let_listen_under_a_local_name_and_connect_to_nobody(machine):
    program, here = filter_for(machine, sockets=False, devices=True), ARCHITECTURES[machine]
    packets, stream, flags = 5, 1, 0o2000000 | 0o4000

    assert judge(program, machine, here.socket, syscalls.UNIX, packets) == ALLOW
    assert judge(program, machine, here.socket, syscalls.UNIX, packets | flags) == ALLOW
    assert judge(program, machine, here.socket, syscalls.UNIX, stream) == EPERM
    assert judge(program, machine, here.socket, syscalls.UNIX, stream | flags) == EPERM
    assert judge(program, machine, here.socket, syscalls.INET, packets) == EPERM
    assert judge(program, machine, here.socket, syscalls.NETLINK, packets) == EPERM
    assert judge(program, machine, here.connect, 3) == EPERM
    assert judge(filter_for(machine, sockets=False), machine, here.socket, syscalls.UNIX, packets) == EPERM
    assert judge(filter_for(machine), machine, here.connect, 3) == ALLOW


@BOTH
@pytest.mark.parametrize(
    ("family", "protocol", "verdict"),
    [
        (1, 0, ALLOW),
        (2, 0, ALLOW),
        (10, 0, ALLOW),
        (16, 0, ALLOW),
        (16, 15, EPERM),
        (17, 0, EPERM),
        (40, 0, EPERM),
        (38, 0, EPERM),
    ],
)
def test_sockets_are_of_four_kinds(machine, family, protocol, verdict):
    assert judge(filter_for(machine), machine, ARCHITECTURES[machine].socket, family, 1, protocol) == verdict


@BOTH
def test_upper_halves_of_arguments_hide_nothing(machine):
    here = ARCHITECTURES[machine]

    assert judge(filter_for(machine), machine, here.socket, 40 | 1 << 32) == EPERM
    assert judge(filter_for(machine), machine, here.ioctl, 0, syscalls.TIOCSTI | 1 << 32) == EPERM


@BOTH
def test_without_sockets_there_are_only_pairs(machine):
    program = filter_for(machine, sockets=False)
    here = ARCHITECTURES[machine]

    assert {judge(program, machine, here.socket, family) for family in (1, 2, 10, 16)} == {EPERM}
    assert judge(program, machine, here.socketpair, 1) == ALLOW
    assert judge(program, machine, here.socketpair, 30) == EPERM
    for numbers in UNJUDGED.values():
        assert numbers[here.column] is None or judge(program, machine, numbers[here.column]) == EPERM


@BOTH
def test_without_a_view_of_its_own_a_process_limits_itself_only(machine):
    here = ARCHITECTURES[machine]

    assert judge(filter_for(machine, sockets=False), machine, here.prlimit, 0) == ALLOW
    assert judge(filter_for(machine, sockets=False), machine, here.prlimit, 4711) == EPERM
    assert judge(filter_for(machine), machine, here.prlimit, 4711) == ALLOW


@BOTH
def test_clone_makes_threads_and_processes_but_no_namespaces(machine):
    program = filter_for(machine)
    here = ARCHITECTURES[machine]
    threads = 0x3D0F00
    kinds = (0x10000000, 0x20000, 0x02000000, 0x04000000, 0x08000000, 0x20000000, 0x40000000)

    assert judge(program, machine, here.clone, threads) == ALLOW
    assert judge(program, machine, here.clone, 17) == ALLOW
    assert {judge(program, machine, here.clone, 17 | kind) for kind in kinds} == {EPERM}
    assert judge(program, machine, here.clone3) == ENOSYS


@BOTH
def test_nobody_types_into_a_terminal(machine):
    program, here = filter_for(machine), ARCHITECTURES[machine]

    assert judge(program, machine, here.ioctl, 0, 0x5412) == EPERM
    assert judge(program, machine, here.ioctl, 0, 0x541C) == EPERM
    assert judge(program, machine, here.ioctl, 0, 0x5401) == ALLOW


def test_an_unknown_machine_has_no_filter():
    with pytest.raises(KeyError):
        filter_for("vax")


def test_a_jump_that_is_too_far_is_an_error():
    program = bpf.Program()
    program.if_equal(1, "far")
    for _ in range(256):
        program.load(0)
    program.label("far")
    program.end(ALLOW)

    with pytest.raises(OverflowError):
        program.assemble()
