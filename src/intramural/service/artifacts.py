"""Artifacts: listed, exported, verified."""

from __future__ import annotations

from pathlib import Path

from intramural.domain.access import Action
from intramural.domain.artifact import Artifact
from intramural.errors import InvalidInput, NotFound
from intramural.service.context import Context
from intramural.service.jobs import find_job
from intramural.service.places import check_new_folder
from intramural.service.policies import check_leaving
from intramural.service.present_policy import adopt_policy
from intramural.service.scope_keys import files_of_artifact
from intramural.store import Reading


def list_artifacts(ctx: Context, job: str | None = None) -> list[Artifact]:
    """Return the artifacts of a job, or of all, oldest first."""
    with ctx.read() as tx:
        return tx.artifacts.all(ctx.project, find_job(ctx, tx, job).id if job else None)


def show_artifact(ctx: Context, ref: str) -> Artifact:
    """Return one artifact by id, digest, or the unique beginning of either."""
    with ctx.read() as tx:
        return find_artifact(ctx, tx, ref)


def export_artifact(ctx: Context, ref: str, folder: Path) -> Artifact:
    """
    Copy an artifact's files in clear to a new or empty folder, verified on the way; recorded as an act.

    Raises `InvalidInput` before anything is recorded where the folder has something in it or cannot be made.
    """
    ctx.check(Action.ARTIFACT_EXPORT, target=ref)
    check_new_folder(folder)
    adopt_policy(ctx)
    with ctx.act(Action.ARTIFACT_EXPORT, target=ref) as tx:
        artifact = find_artifact(ctx, tx, ref)
        tx.concerns.update(target=artifact.id, digest=artifact.digest)
        check_leaving(ctx, tx, artifact)
    ctx.vault.export_tree(artifact.digest, folder, files_of_artifact(ctx, artifact))
    return artifact


def verify_artifact(ctx: Context, ref: str) -> Artifact:
    """Read every byte again. Raises `IntegrityFailure` that names the first damaged file."""
    with ctx.read() as tx:
        artifact = find_artifact(ctx, tx, ref)
    ctx.vault.verify_tree(artifact.digest)
    return artifact


def find_artifact(ctx: Context, tx: Reading, ref: str) -> Artifact:
    """Return the artifact of that id or digest, or of the unique beginning of either. Raises `NotFound`, `InvalidInput`."""
    found = tx.artifacts.matching(ctx.project, ref) if ref else []
    if not found:
        raise NotFound(f"There is no artifact {ref}.", hint="`intramural artifact list` shows them.")
    if len({each.digest for each in found}) > 1:
        raise InvalidInput(f"{ref} begins the id of more than one artifact.", hint="Type a few more letters.")
    return found[0]
