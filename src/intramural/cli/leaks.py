"""`intramural audit leak-test`: does anything of the data come out where it has no business?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from intramural.cli.exit_codes import ExitCode
from intramural.cli.output import facts, json_option, note, table, write_json
from intramural.cli.progress import counting
from intramural.pages.words import count, duration, size

if TYPE_CHECKING:
    from intramural.domain.leaks import LeakReport


@click.command(name="leak-test")
@json_option
def leak_test(as_json: bool) -> int:
    """Plant canaries, use the platform as a person would, crash it, and search every byte it left (exit code 6 for a hit).

    Works in a scratch folder under TMPDIR, with a home of its own; takes some minutes. Yours is not touched.
    """
    from intramural.app.leak_test.running import leak_test as plant_and_search  # noqa: PLC0415 - keeps `--help` fast

    with counting("Looking for leaks") as report:
        found = plant_and_search(report if as_json or sys.stderr.isatty() else _tell)
    write_json({**found.document(), "passed": found.passed}) if as_json else _print(found)
    return ExitCode.OK if found.passed else ExitCode.INTEGRITY


def _tell(done: int, total: int, act: str) -> None:
    note(f"{done + 1} of {total}: {act}")


def _print(found: LeakReport) -> None:
    facts(
        [
            ("planted", f"{count(len(found.canaries))} canaries"),
            ("called", f"{count(len(found.commands))} commands"),
            ("searched", f"{count(found.files)} files, {size(found.bytes)}; {count(found.processes)} processes"),
            ("took", duration(found.seconds)),
            ("not searched", "; ".join(found.unread) or None),
            *(("control", f"{name}: {'seen' if times else 'NOT SEEN'}") for name, times in found.seen.items()),
        ]
    )
    if found.hits:
        rows = [[each.canary, each.place, str(each.offset), f"{each.encoding} {each.inside}".strip()] for each in found.hits]
        table(["found", "where", "at byte", "as"], rows, right=[2])
    for problem in found.problems:
        note(f"Proves less than it should: {problem}")
    note("Nothing leaked." if found.passed else "Not passed.")
