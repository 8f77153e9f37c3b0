"""
Start a process within walls.

    FOLDER/walls.json     who runs under which level (written before the process begins)
    FOLDER/receipt.jsonl  what it tried to reach (`receipts.read_receipt`)
    FOLDER/walls.log      what a supervisor that failed said

FOLDER belongs to this side: the process does not see it.
"""

from __future__ import annotations

import contextlib
import json
import marshal
import os
import select
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import intramural
from intramural.domain.confinement import Confinement, Level, below_required
from intramural.errors import Conflict, InvalidInput, Refused, Unavailable
from intramural.walls import bubblewrap, syscalls
from intramural.walls.confined import STATE, Confined, adopt
from intramural.walls.processes import boot_id
from intramural.walls.swap import SWAPS, is_swap_on

LOG = "walls.log"
READY_SECONDS = 30.0
_START = "import sys; sys.path.insert(0, {!r}); from intramural.walls.begin import main; main()"


def launch(
    command: Sequence[str],
    confinement: Confinement,
    *,
    folder: Path,
    level: Level,
    environment: Mapping[str, str] | None = None,
    output: int | None = None,
    pass_fds: Sequence[int] = (),
    hold: bool = False,
    ends_with_us: bool = False,
    swaps: Path = SWAPS,
) -> Confined:
    """
    Start *command* under *level*, in its run directory; return once it is there, before it begins when it is to *hold*.

    *output* takes what it prints (nowhere when not given); of this process's descriptors
    it gets *pass_fds* and no other. With *ends_with_us* it ends when this process does, however that ends, and *folder*
    goes with it; else it lives on. *swaps* lists the machine's swap. Raises `Refused` below the level that the
    confinement requires, `Unavailable` when the walls cannot be raised.
    """
    _check(confinement, level, pass_fds)
    if (folder / STATE).exists():
        raise Conflict("A process was started on this folder before.", hint="Give each process a folder of its own.")
    with contextlib.ExitStack() as stack:
        sink = output if output is not None else stack.enter_context(open(os.devnull, "wb")).fileno()
        plan = _plan(command, confinement, level, dict(environment or {}))
        plan |= {"folder": str(folder.resolve()), "output": sink, "pass_fds": list(pass_fds)}
        plan |= {"swap_is_on": is_swap_on(swaps), "starter": os.getpid() if ends_with_us else None}
        if plan["linger"] and level is not Level.NAMESPACES:
            stack.callback(_remove_unless_started, folder, plan["run"])
        return _supervise(plan, folder, hold)


def python_view() -> tuple[str, ...]:
    """
    Return what a confined Python needs to read to be this one: interpreter, libraries, this package.

    Python lists the folder that a package lies in before it looks at the package: so the folder, not the package.
    """
    places = {sys.prefix, sys.base_prefix, sys.exec_prefix, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    places.add(str(Path(intramural.__file__).parent.parent))
    places.add(str(Path(sys.executable).resolve().parent.parent))
    outside = sorted(each for each in places if not each.startswith("/usr/") and each != "/usr")
    return tuple(each for each in outside if not any(each.startswith(f"{other}/") for other in outside))


def _check(confinement: Confinement, level: Level, pass_fds: Sequence[int]) -> None:
    if any(stat.S_ISDIR(os.fstat(each).st_mode) for each in pass_fds):
        raise InvalidInput("An open folder leads out of any walls.", hint="Pass files, pipes or sockets.")
    if level < confinement.required:
        raise below_required(level, confinement.required)
    if level is Level.LANDLOCK and confinement.egress:
        raise Refused(
            f"At the level {level.value} no destination can be allowed.",
            hint="Allow user namespaces on this machine, or remove the destinations.",
            rule="isolation.egress",
        )


def _plan(command: Sequence[str], confinement: Confinement, level: Level, environment: dict[str, str]) -> dict[str, Any]:
    """Say a confinement in the plain words that the supervisor understands."""
    limits = confinement.limits
    inside = level is Level.NAMESPACES
    run = confinement.run_directory or (bubblewrap.RUN_IN_MEMORY if inside else _folder_in_memory())
    scratch = "/tmp" if inside else f"{run}/.tmp"  # noqa: S108 - a file system of its own
    if not inside:
        Path(scratch).mkdir(mode=0o700, exist_ok=True)
    environment = bubblewrap.environment_inside(environment, run=run, scratch=scratch, proxy=inside)
    plan: dict[str, Any] = {
        "level": level.value,
        "command": list(command),
        "environment": environment,
        "run": run,
        "linger": confinement.run_directory is None,
        "disk": confinement.run_directory,
        "memory": limits.memory_bytes,
        "processes": limits.processes,
        "processors": limits.processors,
        "open_files": limits.open_files,
        "file_bytes": limits.file_bytes,
        "output_bytes": limits.output_bytes,
        "egress": [each.document() for each in confinement.egress],
    }
    if level is not Level.NONE:
        plan["filter"] = syscalls.filter_for(os.uname().machine, sockets=inside, devices=bool(confinement.devices))
    if inside:
        program = bubblewrap.find()
        if program is None:
            raise Unavailable("bubblewrap is not installed.", hint="Install it from the system's packages.")
        plan["bubblewrap"] = str(program)
        plan |= {"options": bubblewrap.options(confinement, environment), "last_options": bubblewrap.last_options(confinement)}
        plan["files"] = bubblewrap.FILES
    elif level is Level.LANDLOCK:
        plan |= {"read": list(confinement.read_only), "write": [run], "devices": list(confinement.devices)}
    return plan


def _folder_in_memory() -> str:
    """Return a new folder in the machine's shared memory, where no namespace can hold one."""
    try:
        return tempfile.mkdtemp(prefix="intramural-", dir="/dev/shm")
    except OSError as error:
        raise Unavailable(
            f"There is no memory for a run directory: {error.strerror}.", hint="Mount /dev/shm, or name a run directory."
        ) from error


def _remove_unless_started(folder: Path, run: str) -> None:
    """Remove a folder in memory that no supervisor will."""
    if not (folder / STATE).exists():
        shutil.rmtree(run, ignore_errors=True)


def _supervise(plan: dict[str, Any], folder: Path, hold: bool) -> Confined:
    """Start the supervisor of *plan* and wait until its process is there."""
    content = os.memfd_create("plan", os.MFD_CLOEXEC)
    os.write(content, marshal.dumps(plan))
    os.lseek(content, 0, os.SEEK_SET)
    control_out, control = os.pipe()
    ready, ready_in = os.pipe()
    passed: tuple[int, ...] = (content, control_out, ready_in)
    start = _START.format(str(Path(intramural.__file__).parent.parent))
    command = [sys.executable, "-I", "-S", "-c", start, *(str(each) for each in passed)]
    try:
        with open(folder / LOG, "ab", opener=_private) as log:
            subprocess.run(
                command,
                check=True,
                env={},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=(*passed, plan["output"], *plan["pass_fds"]),
            )
        _close(passed)
        passed = ()
        _write_state(folder, plan["level"], _answer(ready, folder))
    except BaseException as error:
        os.close(control)  # without the word it never begins
        if isinstance(error, (OSError, subprocess.CalledProcessError)):
            raise Unavailable("The supervisor of a process could not be started.", hint=f"Look at {LOG}.") from error
        raise
    finally:
        _close((ready, *passed))
    confined = adopt(folder)
    object.__setattr__(confined, "_control", control)
    if not hold:
        confined.release()
    return confined


def _close(descriptors: tuple[int, ...]) -> None:
    for each in descriptors:
        os.close(each)


def _answer(ready: int, folder: Path) -> dict[str, Any]:
    """Read what the supervisor says of its process. Raises `Unavailable` when the walls could not be raised."""
    said = b""
    while True:
        if not select.select([ready], [], [], READY_SECONDS)[0]:
            raise Unavailable(
                f"The walls were not there after {READY_SECONDS:.0f} seconds.", hint="Free the machine, then try again."
            )
        chunk = os.read(ready, 4096)
        if not chunk:
            break
        said += chunk
    if not said:
        raise Unavailable("The supervisor ended before its process began.", hint=f"Look at {folder.name}/{LOG}.")
    answer: dict[str, Any] = marshal.loads(said)  # noqa: S302 - from the supervisor, which is this same interpreter
    if "error" in answer:
        raise Unavailable(
            f"The walls cannot be raised: {answer['error']}.", hint="Ask whoever runs this machine to allow user namespaces."
        )
    return answer


def _write_state(folder: Path, level: str, answer: dict[str, Any]) -> None:
    """Write down who runs: whole, or not at all, and before the process begins."""
    boot = boot_id()
    processes = {
        name: {"pid": answer[name][0], "start_time": answer[name][1], "boot_id": boot}
        for name in ("job", "first", "supervisor")
    }
    state = {"level": level, "run": answer["run"], "limits": answer["limits"], **processes}
    beside = folder / f".{STATE}"
    with open(beside, "w", opener=_private) as file:
        json.dump(state, file)
    os.replace(beside, folder / STATE)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
