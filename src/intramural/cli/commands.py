"""
The table of commands, each imported only when it is called, and how a call of one ends.

`--help` reads this table alone, so that it answers at once. Errors become exit
codes here and nowhere else.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from typing import Any

import click

import intramural
from intramural.cli import interrupts
from intramural.cli.exit_codes import ExitCode, exit_code
from intramural.cli.output import fault, in_colour, write_json
from intramural.errors import IntramuralError

COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Ask": {
        "interview": ("intramural.cli.interview:interview", "Ask the interview's questions; print its sheet, read one back."),
        "measure": (
            "intramural.cli.measure:measure",
            "The interview's numbers from records of jobs: Slurm, Kubernetes, trackers.",
        ),
        "report": ("intramural.cli.report:report", "The one page: asked beside measured; the hard numbers."),
        "portfolio": ("intramural.cli.portfolio:portfolio", "What many profiles say together, by segment."),
    },
    "Prepare": {
        "model": ("intramural.cli.models:model", "Base models: add, list, show, remove."),
        "data": ("intramural.cli.data:data", "Data sets: add, scan, list, show, diff, sample, redact, shred, trace, remove."),
        "keys": ("intramural.cli.keys:keys", "The key that wraps all others: status, rotate."),
        "policy": ("intramural.cli.policy:policy", "What work must obey, by the class of its data: show, set."),
        "schema": ("intramural.cli.schema:schema", "Print the JSON Schema of a file you write."),
    },
    "Run": {
        "run": ("intramural.cli.run:run", "Queue the job a tune.yaml describes, and follow it."),
        "ps": ("intramural.cli.jobs:ps", "List jobs, newest first."),
        "watch": ("intramural.cli.watch:watch", "Follow a job live: loss, tokens/s, time left."),
        "logs": ("intramural.cli.jobs:logs", "Print what a run wrote to its log."),
        "pause": ("intramural.cli.jobs:pause", "Write a checkpoint and rest."),
        "resume": ("intramural.cli.jobs:resume", "Go on from the newest verified checkpoint."),
        "cancel": ("intramural.cli.jobs:cancel", "End a job."),
        "remove": ("intramural.cli.removing:remove_job", "Forget a job that ended, with everything it left."),
        "sweep": ("intramural.cli.removing:sweep", "Remove what killed processes left that belongs to nothing."),
    },
    "Judge": {
        "show": ("intramural.cli.jobs:show", "A job's report: text, HTML, Markdown or JSON."),
        "why": ("intramural.cli.jobs:why", "Why a job waits, or why it failed and what would mend it."),
        "drill": ("intramural.cli.jobs:drill", "Kill a running job on purpose and prove that it continues exactly."),
        "approve": ("intramural.cli.approvals:approve", "Say yes to a job or an artifact of somebody else, with your SSH key."),
        "approvals": ("intramural.cli.approvals:approvals", "Approvals: list, request, add, withdraw, approvers."),
        "evidence": ("intramural.cli.evidence:evidence", "A job's signed evidence, for somebody outside."),
        "artifact": ("intramural.cli.artifacts:artifact", "Artifacts: list, show, export, verify, remove."),
        "lineage": ("intramural.cli.lineage:lineage", "What an object was made of, and what was made of it."),
        "quarantine": ("intramural.cli.lineage:quarantine", "Keep an object from being used or leaving; end that; list."),
        "audit": ("intramural.cli.audit:audit", "Who did what, and what was refused."),
    },
}


class CommandTable(click.Group):
    """A group that knows its commands' names and help without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one command that was asked for."""
        place = next((section[cmd_name][0] for section in COMMANDS.values() if cmd_name in section), None)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        interrupts.obey()
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest one."""
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            ask = f" Did you mean `{near[0]}`?" if near else ""
            raise click.UsageError(f"No command is called `{args[0]}`.{ask}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table by section."""
        for title, section in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, line) for name, (_, line) in section.items()], col_max=14)


@click.group(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(intramural.__version__, prog_name="intramural")
def command() -> None:
    """Fine-tune language models on private data, within your own walls.

    Every command takes --json. State is kept under INTRAMURAL_HOME.
    """


def call(arguments: list[str]) -> int:
    """Run one command line and return its exit code; every error is told here."""
    as_json = "--json" in arguments
    try:
        code = command.main(args=arguments, prog_name="intramural", standalone_mode=False)
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        if interrupts.pressed() or isinstance(error, (click.Abort, KeyboardInterrupt)):
            interrupts.tell()
            return ExitCode.INTERRUPTED
        return _told(error, as_json)
    return code if isinstance(code, int) else ExitCode.OK


def _told(error: BaseException, as_json: bool) -> int:
    """Tell of *error* and return the exit code that belongs to it."""
    if isinstance(error, IntramuralError):
        _tell(as_json, error.document())
        return exit_code(error)
    if isinstance(error, click.ClickException):
        _tell_usage(as_json, error)
        return ExitCode.USAGE
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    if os.environ.get("INTRAMURAL_DEBUG") == "1":
        raise error
    _tell(as_json, fault(error))
    return ExitCode.UNAVAILABLE


def _tell(as_json: bool, document: dict[str, Any]) -> None:
    if as_json:
        write_json({"error": document})
        return
    click.echo(f"{in_colour('Error:', 'red')} {document['message']}", err=True)
    if document.get("hint"):
        click.echo(f"{in_colour('→', 'cyan')} {document['hint']}", err=True)


def _tell_usage(as_json: bool, error: click.ClickException) -> None:
    context = getattr(error, "ctx", None)
    hint = f"See `{context.command_path} --help`." if context else "See `intramural --help`."
    _tell(as_json, {"code": "usage", "message": error.format_message(), "hint": hint, "about": {}})
