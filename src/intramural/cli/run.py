"""`intramural run`: from a tune.yaml to a queued job, and along with it to its end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intramural.cli import interrupts
from intramural.cli.exit_codes import ExitCode, ending_code
from intramural.cli.follow import follow
from intramural.cli.output import in_colour, json_option, note, printable, write_json, write_text
from intramural.cli.progress import following
from intramural.cli.session import connect, wake_scheduler
from intramural.errors import InvalidInput, NotFound
from intramural.pages.words import duration, rate, size

if TYPE_CHECKING:
    from intramural.client.client import Client
    from intramural.domain.job import Job
    from intramural.domain.report import JobReport
    from intramural.domain.spec import JobSpec
    from intramural.domain.views import JobEvent, Resolution


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one setting, such as train.steps=50.")
@click.option("--dry-run", is_flag=True, help="Print the resolved file and what was checked; start nothing.")
@click.option(
    "--wait/--detach", "wait", default=None, help="Follow the job to its end, or leave at once. On a terminal it waits."
)
@json_option
def run(file: Path, overrides: tuple[str, ...], dry_run: bool, wait: bool | None, as_json: bool) -> int:
    """Queue the job that FILE describes.

    With --wait --json: one event a line, and the report as the last line. Ctrl-C leaves the job running.
    """
    spec = read_spec(file, overrides)
    client = connect()
    if dry_run:
        return _show_resolution(client, spec, as_json)
    job = client.submit_job(spec)
    if job.start_approvals:
        return _tell_waiting(job, as_json)
    try:
        wake_scheduler()
        if not (sys.stdout.isatty() if wait is None else wait):
            write_json(job.document()) if as_json else click.echo(job.id)
            return ExitCode.OK
        return wait_for(client, job, as_json=as_json)
    except KeyboardInterrupt:
        interrupts.end()
        note(f"\nThe job goes on. Follow it: intramural watch {job.id}   End it: intramural cancel {job.id}")
        return ExitCode.INTERRUPTED


def _tell_waiting(job: Job, as_json: bool) -> int:
    """Tell that a job waits for other people, who may take days."""
    persons = "another person" if job.start_approvals == 1 else f"{job.start_approvals} other persons"
    if as_json:
        write_json(job.document())
        return ExitCode.WAITING
    click.echo(job.id)
    note(f"{job.spec.name} waits until {persons} approved it. Ask: intramural approvals request {job.id} -o request.json")
    return ExitCode.WAITING


def read_spec(file: Path, overrides: tuple[str, ...]) -> JobSpec:
    """Read *file* strictly; raise `NotFound` or `InvalidInput` with the line of the mistake."""
    from intramural.domain.spec import JobSpec  # noqa: PLC0415 - keeps `--help` fast
    from intramural.domain.strict_yaml import read  # noqa: PLC0415

    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"There is no file {file}.", hint="`intramural schema tune` describes one.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read: {type(error).__name__}.", hint="It must be a text file in UTF-8.") from None
    return read(text, JobSpec, overrides=overrides, where=file.name)


def wait_for(client: Client, job: Job, *, as_json: bool) -> int:
    """Follow *job* to its end and tell the result; return the exit code."""
    if as_json:
        follow(client, job.id, show=_print_event, idle=lambda words: None)
    else:
        note(f"Job {job.id} ({job.spec.name}): {job.spec.base} on {job.dataset_label}.")
        with following() as follower:
            follow(client, job.id, show=lambda each: follower.show(each.event), idle=follower.idle)
    report = client.show_job(job.id)
    if as_json:
        write_json(report.document())
    else:
        tell_result(report)
    return ending_code(report)


def tell_result(report: JobReport) -> None:
    """Print how a job ended: the result first, or the cause with its next step."""
    from intramural.domain.verdict import one_line  # noqa: PLC0415 - keeps `--help` fast

    name = report.name
    if report.state.value == "paused":
        note(f"{name} is paused at step {report.step}. Go on: intramural resume {report.job_id}")
    elif report.state.value != "succeeded":
        note(f"{in_colour(f'{name} {report.state.value}:', 'red')} {report.cause or 'no cause was recorded'}")
        if report.evidence:
            note(printable(f"  {report.evidence}"))
        if report.next_step:
            note(f"{in_colour('→', 'cyan')} {printable(report.next_step)}")
    else:
        click.echo(f"{in_colour('✓', 'green', err=False)} {name}: {one_line(report.metrics) or f'{report.step} steps trained'}")
        figures = [
            duration(report.duration_seconds),
            f"{rate(report.tokens_per_second)} tokens/s",
            f"{size(report.peak_memory_bytes)} peak",
        ]
        if report.peak_gpu_memory_bytes:
            figures.append(f"{size(report.peak_gpu_memory_bytes)} of the GPU")
        click.echo(f"  {', '.join(figures)}")
        for each in report.artifacts:
            if each.kind.value in {"adapter", "merged_model"}:
                click.echo(f"  {each.kind.value.replace('_', ' ')} {each.id}: intramural artifact export {each.id} -o FOLDER")
        click.echo(f"  the run page: intramural show {report.job_id} --html -o {name.replace('/', '-')}.html")


def _print_event(each: JobEvent) -> None:
    write_json(each.document())


def _show_resolution(client: Client, spec: JobSpec, as_json: bool) -> int:
    resolution = client.resolve_job(spec)
    if as_json:
        write_json(resolution.document())
    else:
        write_text(as_yaml(resolution.spec.document()))
        for check in resolution.checks:
            note(f"{in_colour('✓', 'green')} {printable(check)}")
        _tell_verdict(resolution)
    return ExitCode.OK if resolution.verdict is None or resolution.verdict.allowed else ExitCode.REFUSED


def _tell_verdict(resolution: Resolution) -> None:
    verdict = resolution.verdict
    if verdict is None:
        return
    if verdict.allowed:
        note(f"{in_colour('✓', 'green')} The policy allows it ({verdict.classification} data).")
    for each in verdict.denials:
        note(f"{in_colour('✗', 'red')} The rule `{each.rule}` refuses it: {printable(each.reason)}.")
        note(f"  {in_colour('→', 'cyan')} {printable(each.change)}")


def as_yaml(document: dict[str, Any]) -> str:
    """Write a document as people write tune.yaml."""
    import yaml  # noqa: PLC0415 - keeps `--help` fast

    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
