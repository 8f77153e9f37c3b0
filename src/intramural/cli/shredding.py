"""`intramural data shred` and `data certificate`: a data set's end, and the proof of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from intramural.cli.output import facts, json_option, note, write_json
from intramural.cli.session import connect
from intramural.errors import Conflict, NotFound, Unavailable
from intramural.pages.words import count, short_digest

if TYPE_CHECKING:
    from intramural.domain.keys import ShredCertificate


@click.command()
@click.argument("name", metavar="DATA")
@click.option("--yes", is_flag=True, help="Do not ask; a shredding cannot be taken back.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the certificate to a new file.")
@json_option
def shred(name: str, yes: bool, output: Path | None, as_json: bool) -> None:
    """Destroy the keys of every version of DATA, prove that nothing opens any more, and print a certificate."""
    if "@" in name:
        raise click.UsageError("A data set is shredded whole: give its name without a version.")
    if output is not None and output.exists():
        raise click.UsageError(f"{output} exists already; choose a new file.")
    if not yes:
        typed = click.prompt(f"This destroys every version of {name} for ever. Type its name to go on", err=True)
        if typed != name:
            raise click.UsageError("That is not its name; nothing was destroyed.")
    certificate = connect().shred_dataset(name)
    if output is not None:
        _write(certificate, output)
    write_json(certificate.document()) if as_json else _print(certificate)


@click.command()
@click.argument("name", metavar="DATA")
@json_option
def certificate(name: str, as_json: bool) -> None:
    """Print the newest certificate of a shredded data set again."""
    client = connect()
    found = client.list_certificates(name)
    if any(each.name == name and each.is_half_shredded for each in client.list_datasets()):
        raise Conflict(
            f"The shredding of {name} was interrupted, or its proof failed: there is no certificate of it.",
            hint=f"`intramural data shred {name}` again completes it.",
        )
    if not found:
        raise NotFound(f"{name} was not shredded.", hint="`intramural data list` shows what is there.")
    write_json(found[-1].document()) if as_json else _print(found[-1])


def _print(found: ShredCertificate) -> None:
    facts(
        [
            ("certificate", found.id),
            ("data", found.dataset),
            ("when", f"{found.at:%Y-%m-%d %H:%M:%S %Z}"),
            ("by", found.by),
        ]
    )
    for key in found.keys:
        gone = "destroyed at the provider too" if key.provider_destroyed else "its wrapped form was erased"
        click.echo(f"  key {key.id} ({key.provider} {key.provider_key}, version {key.version}): {gone}")
        for check in key.checks:
            click.echo(f"    {check.tried}: {check.result}")
    for each in found.objects:
        click.echo(f"  {each.dataset} {each.file} {short_digest(each.digest)}: {each.result}")
    click.echo("What this does not reach:")
    for words in found.not_reached:
        click.echo(f"  - {words}")
    if found.trained:
        click.echo(f"  Artifacts trained on it: {count(len(found.trained))}: {', '.join(found.trained)}")


def _write(found: ShredCertificate, output: Path) -> None:
    try:
        with open(output, "x", encoding="utf-8") as file:
            file.write(json.dumps(found.document(), indent=1, sort_keys=True) + "\n")
    except OSError as error:
        raise Unavailable(
            f"The data is shredded, but {output} cannot be written: {os.strerror(error.errno or 0)}.",
            hint=f"`intramural data certificate {found.dataset}` prints the certificate again.",
        ) from error
    note(f"The certificate is in {output}.")
