"""How firmly this machine confines a process: found out by confining one and looking at what it sees."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from intramural.domain.confinement import Confinement, Level
from intramural.errors import IntramuralError, Unavailable
from intramural.walls import bubblewrap, cgroup, landlock, syscalls
from intramural.walls.confined import STATE
from intramural.walls.kernel import landlock_version
from intramural.walls.launch import launch
from intramural.walls.swap import is_swap_on

PROBE_SECONDS = 20.0
PROBE = """
read -r secret < "$1" && echo "it reads what it should not" && exit 1
while read -r name value; do
    case $name in
        Seccomp:) [ "$value" = 2 ] || { echo "no filter of system calls"; exit 1; } ;;
        NoNewPrivs:) [ "$value" = 1 ] || { echo "it could gain rights"; exit 1; } ;;
        CapEff:|CapPrm:) case $value in *[!0]*) echo "it has capabilities"; exit 1 ;; esac ;;
    esac
done < /proc/self/status
if [ "$2" = namespaces ]; then
    [ $$ -lt 20 ] || { echo "it sees the numbers of other processes"; exit 1; }
    while read -r name _; do
        case $name in *:) [ "$name" = lo: ] || { echo "it has a network"; exit 1; } ;; esac
    done < /proc/net/dev
fi
echo confined
"""
"""What a shell says from within: `confined`, or what it found open."""


@dataclass(frozen=True)
class Reach:
    """The firmest level that held, why a firmer one did not, and what keeps its processes out of swap."""

    level: Level
    reasons: tuple[str, ...]
    swap: str
    """What keeps the memory of runs out of swap, as a receipt says it: `cgroup`, `machine` or `nothing`."""


def level() -> Level:
    """Return the firmest level of this machine; found out once per process."""
    return reach().level


@cache
def reach() -> Reach:
    """Return the firmest level that holds here, with the reason for each that does not."""
    cgroup.sweep()
    reasons: list[str] = []
    for wanted in (Level.NAMESPACES, Level.LANDLOCK):
        reason = _missing(wanted)
        swap = ""
        if reason is None:
            reason, swap = _probe(wanted)
        if reason is None:
            return Reach(wanted, tuple(reasons), swap)
        reasons.append(f"{wanted.value}: {reason}")
    return Reach(Level.NONE, tuple(reasons), "nothing" if is_swap_on() else "machine")


def _missing(wanted: Level) -> str | None:
    """Return what the machine lacks for a level, before anything is started."""
    if os.uname().sysname != "Linux":
        return "it needs Linux"
    if os.uname().machine not in syscalls.ARCHITECTURES:
        return f"no filter of system calls is known for {os.uname().machine}"
    if wanted is Level.NAMESPACES and bubblewrap.find() is None:
        return "bubblewrap is not installed"
    if wanted is Level.LANDLOCK and landlock_version() < landlock.OLDEST:
        return f"Landlock has version {landlock_version()}, {landlock.OLDEST} is needed"
    return None


def _probe(wanted: Level) -> tuple[str | None, str]:
    """Confine a shell and have it look around; return what was wrong, and what kept it out of swap."""
    with tempfile.TemporaryDirectory(prefix="intramural-walls-") as name:
        folder = Path(name)
        (folder / "run").mkdir(mode=0o700)
        secret = folder / "secret"
        secret.write_text("read\n")
        with open(folder / "said", "w+b") as said:
            command = ["/bin/sh", "-c", PROBE, "probe", str(secret), wanted.value]
            wish = Confinement(run_directory=str((folder / "run").resolve()))
            try:
                confined = launch(
                    command, wish.model_copy(update={"required": wanted}), folder=folder, level=wanted, output=said.fileno()
                )
                if not confined.wait(PROBE_SECONDS):
                    confined.close()
                    raise Unavailable("it did not end", hint="Free the machine, then try again.")
            except IntramuralError as error:
                return error.message, ""
            said.seek(0)
            words = said.read().decode(errors="replace").strip().splitlines()
        wrong = None if words and words[-1] == "confined" else (words[-1] if words else "it said nothing")
        return wrong, json.loads((folder / STATE).read_text())["limits"]["swap"]
