"""`intramural measure`: records of jobs in, the interview's numbers out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from intramural.cli.output import facts, in_colour, json_option, note, printable, table, write_json
from intramural.cli.progress import counting
from intramural.cli.session import connect
from intramural.pages.words import UNKNOWN, count, duration, size

if TYPE_CHECKING:
    from intramural.domain.measurement import CauseFigures, Measurement, Percentiles, TypeFigures
    from intramural.domain.profile import Profile

OWN = "own"
FEW_PATTERNS = 5
FEW_CLASSES = 12
FEW_COUNTS = 8


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option(
    "--days", type=click.FloatRange(0, 36_600, min_open=True), default=90, show_default=True, help="How many days back."
)
@click.option("--into", type=click.Path(path_type=Path), metavar="PROFILE", help="Also write the figures into a profile.yaml.")
@click.option("--rules", type=click.Path(path_type=Path), metavar="FILE", help="Rules that tell job types, in YAML.")
@click.option("--causes", type=click.Path(path_type=Path), metavar="FILE", help="Rules that tell failure causes, in YAML.")
@click.option("--mapping", type=click.Path(path_type=Path), metavar="FILE", help="What the columns of a table are, in YAML.")
@json_option
def measure(
    sources: tuple[str, ...],
    days: float,
    into: Path | None,
    rules: Path | None,
    causes: Path | None,
    mapping: Path | None,
    as_json: bool,
) -> None:
    """Compute the interview's numbers from records of jobs.

    SOURCE is a file (sacct -P or --json, kubectl -o json, a W&B export, CSV, Parquet), an MLflow server's
    address, store or folder, or the word `own`: the platform's own jobs, which is also what is measured
    where no source is given. Several sources are measured together.
    """
    from intramural.domain.measure_options import MeasureOptions  # noqa: PLC0415 - keeps `--help` fast

    if into is not None:
        _profile(into)  # a mistake in it is told before the work
    options = MeasureOptions(
        sources=tuple(_place(each) for each in sources) or (OWN,),
        days=days,
        **{name: str(path.absolute()) if path else None for name, path in (("rules", rules), ("causes", causes))},
        mapping=str(mapping.absolute()) if mapping else None,
    )
    client = connect()
    with counting("Measuring") as report:
        measured = client.measure_jobs(options, on_progress=report)
    write_json(measured.document()) if as_json else print_measurement(measured)
    if into is not None:
        _write_into(into, measured, quiet=as_json)


def _place(source: str) -> str:
    """Return a source as the platform takes it: files by their whole path, words and addresses as they are."""
    return source if source == OWN or "://" in source else str(Path(source).absolute())


def _profile(path: Path) -> Profile:
    """Return the profile at *path*, an empty one where there is none yet."""
    from intramural.domain.profile import Profile  # noqa: PLC0415 - keeps `--help` fast
    from intramural.interview import profile_file  # noqa: PLC0415

    return profile_file.load(path) if path.exists() else Profile()


def _write_into(path: Path, measured: Measurement, *, quiet: bool) -> None:
    from intramural.interview import profile_file  # noqa: PLC0415 - keeps `--help` fast
    from intramural.interview.measured import answers_of, provenance_of, with_measurement  # noqa: PLC0415

    profile_file.save(path, with_measurement(_profile(path), measured))
    if not quiet:
        note(f"{len(answers_of(measured))} answers written to {path} as {provenance_of(measured).value}.")


def print_measurement(measured: Measurement) -> None:
    """Print the figures: what was counted, job types, queues, failures, shapes, and what their reader must know."""
    click.echo(in_colour(_heading(measured), "bold", err=False) + "\n")
    _print_types(measured)
    _print_classes(measured)
    _print_causes(measured.causes)
    click.echo("")
    facts(_shape(measured))
    for each in measured.unclassified[:FEW_PATTERNS]:
        note(in_colour(f"No rule knows the type of {count(each.jobs)} jobs named like {printable(each.pattern)}", "dim"))
    for notice in measured.notices:
        note(in_colour(printable(notice), "dim"))


def _heading(measured: Measurement) -> str:
    window = measured.window
    span = ""
    if window:
        days = "1 day" if round(window.days) <= 1 else f"{window.days:.0f} days"
        span = f", {window.first} to {window.last} ({days})" if window.first and window.last else f", {days}"
    return f"{count(measured.jobs)} job{'s' if measured.jobs != 1 else ''} from {', '.join(measured.sources)}{span}"


def _print_types(measured: Measurement) -> None:
    from intramural.domain.answer_kinds import OneOf  # noqa: PLC0415 - keeps `--help` fast
    from intramural.domain.profile_choices import JOB_TYPES  # noqa: PLC0415

    labels = OneOf(JOB_TYPES, open=True)
    rows = [_type_row(labels.label(each.job_type), each) for each in sorted(measured.by_type, key=lambda each: -each.jobs)]
    if len(rows) > 1:
        rows.append(
            [
                *("All", "100 %", count(measured.jobs), *_ends(measured.run_seconds), *_ends(measured.queue_seconds)),
                *(_percent(measured.success), _hours(measured.gpu_hours)),
            ]
        )
    headings = ["job type", "share", "jobs", "run p50", "run p90", "queue p50", "queue p90", "success", "GPU hours"]
    table(headings, rows, right=range(1, 9))


def _type_row(label: str, each: TypeFigures) -> list[str]:
    return [
        *(label, _percent(each.share), count(each.jobs), *_ends(each.run_seconds), *_ends(each.queue_seconds)),
        *(_percent(each.success), _hours(each.gpu_hours)),
    ]


def _print_classes(measured: Measurement) -> None:
    """Print waiting by class, where there is more than one class and somebody waited."""
    waited = [each for each in measured.by_class if each.queue_seconds.counted]
    if len(waited) < 2:
        return
    click.echo("")
    rows = [[each.name or UNKNOWN, count(each.jobs), *_ends(each.queue_seconds)] for each in waited[:FEW_CLASSES]]
    table(["class", "jobs", "queue p50", "queue p90"], rows, right=range(1, 4))


def _print_causes(causes: tuple[CauseFigures, ...]) -> None:
    from intramural.domain.answer_kinds import OneOf  # noqa: PLC0415 - keeps `--help` fast
    from intramural.domain.profile_choices import CAUSES  # noqa: PLC0415

    if not causes:
        return
    click.echo("")
    labels = OneOf(CAUSES, open=True)
    rows = [
        [
            *(labels.label(each.cause.value), count(each.jobs), _percent(each.share), _hours(each.lost_gpu_hours)),
            *(_percent(each.lost_share), ", ".join(each.evidence[:2])),
        ]
        for each in causes
    ]
    table(["why runs failed", "jobs", "share", "lost GPU hours", "of the lost", "told from"], rows, right=range(1, 5))


def _shape(measured: Measurement) -> list[tuple[str, str | None]]:
    """Return the figures that are one line each; what is not on record is left out."""
    counts = sorted(measured.gpu_counts.items(), key=lambda each: -each[1])
    some = ", ".join(f"{number} ({_percent(share)})" for number, share in counts[:FEW_COUNTS])
    more = f", and {len(counts) - FEW_COUNTS} rarer numbers" if len(counts) > FEW_COUNTS else ""
    without = measured.success_without_cancelled
    return [
        ("GPUs a job", some + more if counts else None),
        ("several nodes", _or_none(measured.multi_node)),
        (
            "success",
            f"{_percent(measured.success)} of those that ended; {_percent(without)} without the cancelled"
            if measured.success is not None
            else None,
        ),
        ("still running", count(measured.running) if measured.running else None),
        ("resumed", _or_none(measured.resumed)),
        ("checkpoint", _median(measured.checkpoint_interval_seconds, lambda n: f"every {duration(n)}")),
        ("checkpoint size", _median(measured.checkpoint_bytes, size)),
        ("data set", _median(measured.dataset_bytes, size)),
        ("samples", _median(measured.dataset_samples, count)),
        ("sequence", _median(measured.sequence_tokens, lambda n: f"{count(n)} tokens")),
        ("rows not read", count(measured.skipped_rows) if measured.skipped_rows else None),
    ]


def _median(spread: Percentiles | None, words: Callable[[float], str]) -> str | None:
    return words(spread.p50) if spread and spread.p50 is not None else None


def _ends(spread: Percentiles) -> tuple[str, str]:
    """Return the median and the 90th percentile as the report writes durations."""
    from intramural.domain.quantity import Dimension, exactly  # noqa: PLC0415 - keeps `--help` fast
    from intramural.interview.figures import shown  # noqa: PLC0415

    p50, p90 = (UNKNOWN if each is None else shown(exactly(each), Dimension.DURATION) for each in (spread.p50, spread.p90))
    return p50, p90


def _percent(share: float | None) -> str:
    if share is None:
        return UNKNOWN
    return f"{share:.1f} %" if 0 < share < 9.95 or 99 < share < 100 else f"{share:.0f} %"


def _or_none(share: float | None) -> str | None:
    return None if share is None else _percent(share)


def _hours(hours: float) -> str:
    return f"{hours:,.1f}" if 0 < hours < 100 else count(hours)
