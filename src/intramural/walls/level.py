"""How firmly this machine confines a process: found out by confining one and looking at what it sees."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from intramural.domain.confinement import Confinement, Level
from intramural.errors import IntramuralError, Unavailable
from intramural.walls import bubblewrap, cgroup, landlock, syscalls
from intramural.walls.kernel import landlock_version
from intramural.walls.launch import launch

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
    """The firmest level that held, and why a firmer one did not."""

    level: Level
    reasons: tuple[str, ...]


def level() -> Level:
    """Return the firmest level of this machine; found out once per process."""
    return reach().level


@cache
def reach() -> Reach:
    """Return the firmest level that holds here, with the reason for each that does not."""
    cgroup.sweep()
    reasons: list[str] = []
    for wanted in (Level.NAMESPACES, Level.LANDLOCK):
        reason = _missing(wanted) or _probe(wanted)
        if reason is None:
            return Reach(wanted, tuple(reasons))
        reasons.append(f"{wanted.value}: {reason}")
    return Reach(Level.NONE, tuple(reasons))


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


def _probe(wanted: Level) -> str | None:
    """Confine a shell and have it look around; return what was wrong."""
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
                return error.message
            said.seek(0)
            words = said.read().decode(errors="replace").strip().splitlines()
        return None if words and words[-1] == "confined" else (words[-1] if words else "it said nothing")
