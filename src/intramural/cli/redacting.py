"""`intramural data redact`: a stored version into a new one, less what is found in it."""

from __future__ import annotations

from pathlib import Path

import click

from intramural.cli.dataset_card import print_dataset
from intramural.cli.findings import screening_options, treatments_of
from intramural.cli.output import json_option, note, write_json
from intramural.cli.progress import counting
from intramural.cli.session import connect


@click.command()
@click.argument("label", metavar="DATA")
@screening_options
@json_option
def redact(label: str, treatments: tuple[str, ...], deny: str | None, names: str | None, as_json: bool) -> None:
    """
    Redact a stored version into a new version of its name; recorded.

    DATA is `name` (the newest) or `name@version`. Rows keep their sides, the version its class. The old version stays
    until it is shredded with its name.
    """
    from intramural.domain.views import DatasetOptions  # noqa: PLC0415 - keeps `--help` fast

    terms = str(Path(deny).absolute()) if deny else None
    wanted = DatasetOptions(on=treatments_of(treatments), deny=terms, names=names)
    client = connect()
    known = {each.label for each in client.list_datasets()}
    with counting(f"Redacting {label}") as report:
        found = client.redact_dataset(label, wanted, on_progress=report)
    if as_json:
        write_json(found.document())
        return
    print_dataset(found)
    if found.label in known:
        note(f"The same rows are there already as {found.label}; no version was added.")
