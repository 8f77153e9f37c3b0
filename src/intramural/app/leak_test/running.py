"""One leak test from beginning to end, in a scratch folder of its own that is gone afterwards."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from intramural.app.leak_test.canaries import Nest
from intramural.app.leak_test.crashing import ENTRY
from intramural.app.leak_test.given import Given
from intramural.app.leak_test.story import Story
from intramural.app.leak_test.watching import Watch
from intramural.domain.leaks import LeakReport, Planted
from intramural.store.cells import cells

KEPT = ("PATH", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH", "CUDA_VISIBLE_DEVICES", "SYSTEMROOT")
CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")

OnAct = Callable[[int, int, str], None]


def leak_test(
    on_act: OnAct = lambda done, total, name: None, *, acts: Sequence[str] | None = None, entry: str = ENTRY
) -> LeakReport:
    """
    Plant canaries, act, search; return what was found.

    *acts* chooses some of the story's acts, by their names; *entry* is the trainer (`module:function`) that the act
    of a foreign trainer runs.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="intramural-leak-test-") as scratch:
        root = Path(scratch).resolve()
        nest = Nest.new()
        given = Given(root / "given", nest)
        secret = nest.lay("secret of the shell", Planted.SHELL)
        watch = Watch(nest, root, [given.folder], cells)
        story = Story(root, _environment(root, secret.text), given, watch, entry)
        wanted = {name: act for name, act in story.acts().items() if acts is None or name in acts}
        with _core_files_allowed(watch):
            watch.start()
            try:
                for done, (name, act) in enumerate(wanted.items()):
                    on_act(done, len(wanted) + 1, name)
                    _do(name, act, story)
                on_act(len(wanted), len(wanted) + 1, "searching everything once more")
            finally:
                watch.finish()
        missed = [f"The control was not seen: {name}." for name, times in watch.seen.items() if not times]
        return LeakReport(
            canaries=tuple(each.name for each in nest.canaries),
            commands=tuple(story.commands),
            files=len(watch.files),
            bytes=watch.bytes,
            processes=watch.processes,
            unread=tuple(sorted(watch.unread)),
            seen=watch.seen,
            hits=tuple(watch.hits),
            problems=(*story.problems, *missed, *sorted(watch.problems)),
            seconds=time.monotonic() - began,
        )


def _do(name: str, act: Callable[[], None], story: Story) -> None:
    try:
        act()
    except Exception as error:  # whatever breaks one act, the others still search
        story.problems.append(f"{name} broke off: {type(error).__name__}: {error}")


def _environment(root: Path, secret: str) -> dict[str, str]:
    """Return an environment in which nothing is written outside *root*."""
    folders = {
        "HOME": "user",
        "TMPDIR": "temp",
        "XDG_CACHE_HOME": "cache",
        "XDG_DATA_HOME": "data",
        "XDG_CONFIG_HOME": "config",
    }
    for name in folders.values():
        (root / name).mkdir(mode=0o700)
    return {
        **{name: os.environ[name] for name in KEPT if name in os.environ},
        **{variable: str(root / name) for variable, name in folders.items()},
        "INTRAMURAL_HOME": str(root / "home"),
        "INTRAMURAL_WARM_IDLE_MINUTES": "2",
        "COMPANY_SECRET": secret,
    }


class _core_files_allowed:  # noqa: N801 - reads as what holds inside
    """Lets the processes that are started write core files, so that it shows when one does."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def __enter__(self) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (self._before[1], self._before[1]))
        pattern = CORE_PATTERN.read_text().strip() if CORE_PATTERN.exists() else ""
        if pattern.startswith(("|", "/")):
            self._watch.unread.add(f"core files, which this machine hands to {pattern.split()[0]}")
        elif self._before[1] == 0:
            self._watch.unread.add("core files, which the limits of this shell forbid")

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_CORE, self._before)
