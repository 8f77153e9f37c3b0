"""`intramural artifact`: what runs left, by digest."""

from __future__ import annotations

from pathlib import Path

import click

from intramural.cli.output import facts, json_option, note, table, write_json
from intramural.cli.removing import remove_artifact
from intramural.cli.session import connect
from intramural.pages.words import count, short_digest, size


@click.group()
def artifact() -> None:
    """Artifacts: list, show, export, verify, remove."""


artifact.add_command(remove_artifact)


@artifact.command(name="list")
@click.argument("job", required=False)
@json_option
def list_(job: str | None, as_json: bool) -> None:
    """List the artifacts of JOB, or of all jobs."""
    artifacts = connect().list_artifacts(job)
    if as_json:
        write_json([each.document() for each in artifacts])
        return
    rows = [
        [each.id, each.kind.value, each.job_name, count(each.files), size(each.size_bytes), short_digest(each.digest)]
        for each in artifacts
    ]
    table(["id", "kind", "job", "files", "size", "digest"], rows, right=[3, 4], empty="No artifact yet.")


@artifact.command()
@click.argument("artifact_id", metavar="ARTIFACT")
@json_option
def show(artifact_id: str, as_json: bool) -> None:
    """Show one artifact and what it was made of; ARTIFACT is its id, the beginning of it, or its digest."""
    found = connect().show_artifact(artifact_id)
    if as_json:
        write_json(found.document())
        return
    facts(
        [
            ("id", found.id),
            ("kind", found.kind.value),
            ("job", f"{found.job_name} ({found.job_id}), run {found.run_id}"),
            ("files", f"{count(found.files)}, {size(found.size_bytes)}"),
            ("digest", found.digest),
            ("label", found.label.words if found.label else None),
            ("base", found.lineage.base_digest),
            ("data", found.lineage.dataset_digest),
            ("spec", found.lineage.spec_digest),
            ("environment", found.lineage.environment_digest),
            ("created", f"{found.created_at:%Y-%m-%d %H:%M:%S}"),
        ]
    )


@artifact.command()
@click.argument("artifact_id", metavar="ARTIFACT")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="A new or empty folder.")
@json_option
def export(artifact_id: str, output: Path, as_json: bool) -> None:
    """Copy an artifact's files to a folder, verified on the way; the export is recorded."""
    found = connect().export_artifact(artifact_id, output.absolute())
    write_json({"exported": found.document(), "folder": str(output.absolute())}) if as_json else note(
        f"Exported {found.kind.value} {found.id} ({count(found.files)} files, {size(found.size_bytes)}) to {output}."
    )


@artifact.command()
@click.argument("artifact_id", metavar="ARTIFACT")
@json_option
def verify(artifact_id: str, as_json: bool) -> None:
    """Read every byte again and compare with the digests; exit code 6 where one differs."""
    found = connect().verify_artifact(artifact_id)
    write_json({"verified": found.document()}) if as_json else note(
        f"{found.id}: all {count(found.files)} files are what their digests say."
    )
