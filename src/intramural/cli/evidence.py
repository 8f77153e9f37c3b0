"""`intramural evidence`: everything on record of a job, as one signed bundle for somebody outside."""

from __future__ import annotations

from pathlib import Path

import click

from intramural.cli.output import facts, json_option, write_json
from intramural.cli.session import connect
from intramural.pages.words import count


@click.command()
@click.argument("job")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="A new or empty folder.")
@json_option
def evidence(job: str, output: Path, as_json: bool) -> None:
    """Write the signed evidence of a JOB that ended: data sheet, lineage, evaluation, keys, audit excerpt, bill of materials.

    It holds names, figures and digests, no content. The export is recorded.
    """
    bundle = connect().export_evidence(job, output.absolute())
    if as_json:
        write_json(bundle.document())
        return
    facts(
        [
            ("evidence of", f"{bundle.name} ({bundle.job_id})"),
            ("files", f"{count(len(bundle.files) + 1)} in {output}; begin with index.html"),
            ("signed", f"{count(bundle.subjects)} digests, in provenance.dsse.json"),
            ("audit", f"{count(bundle.audit_entries)} entries with their proofs"),
            ("key", bundle.key),
        ]
    )
