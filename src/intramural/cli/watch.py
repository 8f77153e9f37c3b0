"""`intramural watch`: one job, live in the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from intramural.cli import interrupts
from intramural.cli.exit_codes import ExitCode, ending_code
from intramural.cli.follow import follow
from intramural.cli.output import json_option, note, write_json
from intramural.cli.progress import following
from intramural.cli.run import tell_result
from intramural.cli.session import connect, wake_scheduler
from intramural.cli.tally import Tally, sparkline
from intramural.pages.words import count, duration, rate, size

if TYPE_CHECKING:
    from rich.table import Table

    from intramural.client.client import Client
    from intramural.domain.views import JobEvent

_SPARK_WIDTH = 56


@click.command()
@click.argument("job")
@json_option
def watch(job: str, as_json: bool) -> int:
    """Follow JOB live: loss, tokens/s, time left. Ctrl-C leaves the job alone.

    With --json: one event a line, and the report as the last line.
    """
    client = connect()
    found = client.show_job(job)
    job_id = found.job_id
    wake_scheduler()
    try:
        if as_json:
            follow(client, job_id, show=lambda each: write_json(each.document()), idle=lambda words: None)
        elif sys.stdout.isatty():
            _live(client, job_id, found.name)
        else:
            with following() as follower:
                follow(client, job_id, show=lambda each: follower.show(each.event), idle=follower.idle)
    except KeyboardInterrupt:
        interrupts.end()
        note("\nThe job goes on.")
        return ExitCode.INTERRUPTED
    report = client.show_job(job_id)
    write_json(report.document()) if as_json else tell_result(report)
    return ending_code(report)


def _live(client: Client, job_id: str, name: str) -> None:
    from rich.live import Live  # noqa: PLC0415 - keeps `--help` fast

    tally = Tally()
    waiting = "Waiting."
    with Live(view(tally, name, waiting), refresh_per_second=8, transient=True) as live:

        def show(each: JobEvent) -> None:
            tally.add(each.event)
            live.update(view(tally, name, "" if tally.phase else waiting))

        def idle(words: str) -> None:
            live.update(view(tally, name, words))

        follow(client, job_id, show=show, idle=idle)


def view(tally: Tally, name: str, waiting: str) -> Table:
    """Draw the figures of *tally* as they stand."""
    from rich.table import Table  # noqa: PLC0415 - keeps `--help` fast
    from rich.text import Text  # noqa: PLC0415

    out = Table.grid(padding=(0, 2))
    out.add_row(Text("job", style="dim"), Text(name))
    out.add_row(Text("now", style="dim"), Text(waiting or tally.line))
    if tally.losses:
        low, last = min(tally.losses), tally.losses[-1]
        out.add_row(Text("loss", style="dim"), Text(sparkline(tally.losses, _SPARK_WIDTH), style="green"))
        out.add_row("", Text(f"{last:.4f} now, {low:.4f} lowest, learning rate {tally.learning_rate or 0:.2e}"))
        speed = f"{rate(tally.tokens_per_second)} tokens/s, {size(tally.memory_bytes)} peak"
        out.add_row(Text("speed", style="dim"), Text(speed))
        out.add_row(Text("left", style="dim"), Text(duration(tally.seconds_left)))
        if tally.checkpoint_step:
            out.add_row(Text("saved", style="dim"), Text(f"checkpoint at step {count(tally.checkpoint_step)}"))
    return out
