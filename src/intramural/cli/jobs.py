"""`intramural ps`, `show`, `logs`, `pause`, `resume`, `cancel`, `why`, `drill`: everything about jobs but their start."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from intramural.cli.exit_codes import ExitCode
from intramural.cli.follow import rests
from intramural.cli.interrupts import interruptible
from intramural.cli.output import facts, in_colour, json_option, note, printable, printable_lines, table, write_json, write_text
from intramural.cli.session import connect, wake_scheduler
from intramural.cli.tally import sentence
from intramural.pages.words import count, duration, rate, size

if TYPE_CHECKING:
    from intramural.domain.job import Job
    from intramural.domain.report import JobReport

_PAUSE_SECONDS = 0.3


@click.command()
@json_option
def ps(as_json: bool) -> None:
    """List jobs, newest first."""
    jobs = connect().list_jobs()
    if as_json:
        write_json([each.document() for each in jobs])
        return
    now = datetime.now(UTC)
    rows = [
        [each.id, each.spec.name, _standing(each), each.spec.base, each.dataset_label, str(each.attempts), _age(each, now)]
        for each in jobs
    ]
    table(
        ["job", "name", "state", "base", "data", "attempts", "submitted"],
        rows,
        right=[5],
        empty="No job yet. Start one: intramural run tune.yaml",
    )


@click.command()
@click.argument("job")
@click.option("--html", "form", flag_value="html", help="The run page, one self-contained file.")
@click.option("--md", "form", flag_value="md", help="The run page as Markdown.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it into this file; without --md and --json one that ends in .html is the run page.",
)
@json_option
def show(job: str, form: str | None, output: Path | None, as_json: bool) -> None:
    """Show a job's report; JOB is its id, the beginning of it, or its name (the newest)."""
    if as_json and form:
        raise click.UsageError("Give one of --json, --html, --md.")
    report = connect().show_job(job)
    if as_json:
        write_json(report.document(), output)
    elif form is None:
        _print_report(report) if output is None else write_text(
            _page(report, "html" if output.suffix == ".html" else "md"), output
        )
    else:
        write_text(_page(report, form), output)


@click.command()
@click.argument("job")
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on until the job ends.")
@json_option
def logs(job: str, follows: bool, as_json: bool) -> None:
    """Print what the runs of JOB wrote to their log: no content of the data, by contract."""
    client, offset, text, told = connect(), 0, "", False
    with interruptible() as rest:
        while True:
            final = not follows or rests(client.explain_job(job).state)
            part = client.job_log(job, offset=offset)
            offset = part.offset
            if as_json:
                text += part.text
            elif part.text:
                click.echo(printable_lines(part.text), nl=False)
            elif not offset and not told and sys.stderr.isatty():
                told = True  # a healthy run logs nothing, which looks as if this command were broken
                note(f"Nothing was logged; `intramural watch {job}` shows progress.")
            if final and not part.text:
                break
            rest(0 if part.text else _PAUSE_SECONDS)
    if as_json:
        write_json({"job": job, "text": text})


@click.command()
@click.argument("job")
@json_option
def pause(job: str, as_json: bool) -> None:
    """Ask JOB for a checkpoint and a rest."""
    after = connect().pause_job(job)
    wake_scheduler()
    words = "is paused" if after.state.value == "paused" else "writes a checkpoint and rests"
    _tell(after, f"{words}. Go on: intramural resume {after.id}", as_json)


@click.command()
@click.argument("job")
@click.option("--accept-drift", is_flag=True, help="Go on although versions, model, data, batch or precision changed.")
@json_option
def resume(job: str, accept_drift: bool, as_json: bool) -> None:
    """Queue JOB again; it goes on from its newest verified checkpoint."""
    after = connect().resume_job(job, accept_drift=accept_drift)
    wake_scheduler()
    where = f"from step {count(after.checkpoint_step)}" if after.checkpoint_step else "from the beginning"
    _tell(after, f"is queued and goes on {where}.", as_json)


@click.command()
@click.argument("job")
@json_option
def cancel(job: str, as_json: bool) -> None:
    """End JOB; a running one is asked for a checkpoint first."""
    after = connect().cancel_job(job)
    wake_scheduler()
    _tell(after, "is cancelled." if after.state.is_final else "ends as soon as it wrote its checkpoint.", as_json)


@click.command()
@click.argument("job")
@json_option
def why(job: str, as_json: bool) -> None:
    """Tell why JOB waits and until when, or why it failed and what would mend it."""
    explanation = connect().explain_job(job)
    if as_json:
        write_json(explanation.document())
        return
    state, summary = explanation.state.value, printable(explanation.summary)
    click.echo(sentence(summary if summary.startswith(state) else f"{state}: {summary}") + ".")
    facts([("evidence", explanation.evidence), ("next step", explanation.next_step)])


@click.command()
@click.argument("job")
@json_option
def drill(job: str, as_json: bool) -> int:
    """Kill JOB's process on purpose, let it resume, and compare the repeated steps bit by bit."""
    client = connect()
    wake_scheduler()
    if not as_json:
        note("Waiting for a checkpoint and a few steps after it, then the process is killed.")
    receipt = client.drill_job(job)
    if as_json:
        write_json(receipt.document())
    else:
        facts(
            [
                ("job", receipt.job),
                ("killed at step", count(receipt.killed_at_step)),
                ("resumed from step", count(receipt.resumed_from_step)),
                ("steps repeated", count(receipt.overlapping_steps)),
                ("time lost", duration(receipt.seconds_lost)),
                (
                    "result",
                    "every loss, gradient norm and batch is the same, bit by bit"
                    if receipt.equal
                    else receipt.first_difference,
                ),
            ]
        )
    return ExitCode.OK if receipt.equal else ExitCode.INTEGRITY


def _page(report: JobReport, form: str) -> str:
    from intramural.pages.run_page import run_html, run_markdown  # noqa: PLC0415 - keeps `--help` fast

    return run_html(report) if form == "html" else run_markdown(report)


def _print_report(report: JobReport) -> None:
    from intramural.domain.verdict import one_line  # noqa: PLC0415 - keeps `--help` fast
    from intramural.pages.story import headline, lead, reached, result_table  # noqa: PLC0415

    click.echo(in_colour(headline(report), "bold", err=False))
    for line in lead(report):
        click.echo(line)
    click.echo()
    facts(
        [
            ("job", f"{report.job_id} ({report.name})"),
            ("state", report.state.value),
            ("result", one_line(report.metrics)),
            ("cause", report.cause.value if report.cause else None),
            ("evidence", report.evidence),
            ("next step", report.next_step),
            ("steps", f"{count(report.step)} of {count(report.total_steps)}"),
            ("speed", f"{rate(report.tokens_per_second)} tokens/s" if report.tokens_per_second else None),
            ("time", duration(report.duration_seconds) if report.duration_seconds else None),
            ("peak memory", size(report.peak_memory_bytes) if report.peak_memory_bytes else None),
            ("peak GPU memory", size(report.peak_gpu_memory_bytes) if report.peak_gpu_memory_bytes else None),
            ("checkpoints", count(len(report.checkpoints))),
            ("attempts", count(len(report.attempts))),
            ("walls", next((each.walls.sentence for each in reversed(report.attempts) if each.walls), None)),
        ]
    )
    reached_rows = [row for each in report.attempts if each.walls for row in reached(each.walls)]
    if reached_rows:
        click.echo()
        table(["reached", "connections", "sent", "received", "cut"], [list(row) for row in reached_rows], right=range(1, 4))
    results = result_table(report)
    if results:
        click.echo()
        rows = [
            [label, *(f"{c.value} ({c.interval})" if c.interval else c.value for c in cells)] for label, cells in results.rows
        ]
        table([f"{results.samples} samples", *results.systems], rows, right=range(1, len(results.systems) + 1))
    if report.artifacts:
        click.echo()
        rows = [[each.id, each.kind.value, size(each.size_bytes), each.digest] for each in report.artifacts]
        table(["artifact", "kind", "size", "digest"], rows, right=[2])


def _tell(job: Job, words: str, as_json: bool) -> None:
    write_json(job.document()) if as_json else note(f"{job.spec.name} ({job.id}) {words}")


def _standing(job: Job) -> str:
    return f"{job.state.value} ({job.failure.cause.value})" if job.state.value == "failed" and job.failure else job.state.value


def _age(job: Job, now: datetime) -> str:
    return f"{duration((now - job.submitted_at).total_seconds())} ago"
