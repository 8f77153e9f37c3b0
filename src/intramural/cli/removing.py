"""`intramural remove`, `artifact remove`, `data remove`, `sweep`: disk back from what nobody needs, or nobody owns."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from intramural.cli.output import json_option, note, write_json
from intramural.cli.session import connect
from intramural.errors import InvalidInput
from intramural.pages.words import count, size

if TYPE_CHECKING:
    from intramural.domain.removal import Removed, Swept

yes_option = click.option("--yes", is_flag=True, help="Do not ask; a removal cannot be taken back.")


@click.command(name="remove")
@click.argument("job")
@yes_option
@json_option
def remove_job(job: str, yes: bool, as_json: bool) -> None:
    """Forget JOB, which ended: its runs, checkpoints, log and artifacts; the trail keeps that it was there."""
    _ask(f"the job {job} with everything that it left", yes)
    _tell(connect().remove_job(job), as_json)


@click.command(name="remove")
@click.argument("artifact_id", metavar="ARTIFACT")
@yes_option
@json_option
def remove_artifact(artifact_id: str, yes: bool, as_json: bool) -> None:
    """Forget one artifact of a job that ended and remove its files."""
    _ask(f"the artifact {artifact_id}", yes)
    _tell(connect().remove_artifact(artifact_id), as_json)


@click.command(name="remove")
@click.argument("label", metavar="DATA@VERSION")
@yes_option
@json_option
def remove_dataset(label: str, yes: bool, as_json: bool) -> None:
    """Forget one version that no job was made from and remove its files; `data shred` proves a data set's end."""
    _ask(label, yes)
    _tell(connect().remove_dataset(label), as_json)


@click.command()
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed.")
@json_option
def sweep(dry_run: bool, as_json: bool) -> None:
    """Remove what killed processes left: sealed files, keys and run directories that belong to nothing.

    The scheduler does the same before it rests. Safe beside commands that are at work.
    """
    found = connect().sweep_home(dry_run=dry_run)
    write_json(found.document()) if as_json else _tell_swept(found, dry_run)


def _ask(what: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput("Nothing was removed: there is nobody to ask.", hint="Say --yes; a removal cannot be taken back.")
    click.confirm(f"Remove {what} for ever?", err=True, abort=True)


def _tell(found: Removed, as_json: bool) -> None:
    if as_json:
        write_json(found.document())
        return
    beside = f", with {count(len(found.artifacts))} artifacts" if found.artifacts else ""
    keys = "; its key is destroyed" if found.keys_destroyed else ""
    note(f"Removed {found.kind} {found.id}{beside}: {size(found.size_bytes)}{keys}.")


def _tell_swept(found: Swept, dry_run: bool) -> None:
    would = "Would remove" if dry_run else "Removed"
    if found.is_empty:
        note("Nothing is left over.")
    else:
        note(
            f"{would} {count(found.blobs)} files ({size(found.size_bytes)}), {count(found.keys)} keys and "
            f"{count(found.runs)} run directories that belong to nothing."
        )
    if found.keys_left:
        note(f"{count(found.keys_left)} unused keys are still at their provider; sweep again when it answers.")
    for name in found.unfinished:
        note(f"The shredding of {name} was interrupted: `intramural data shred {name}` completes it.")
