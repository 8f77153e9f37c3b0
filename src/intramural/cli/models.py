"""`intramural model`: the base models that jobs may start from."""

from __future__ import annotations

from pathlib import Path

import click

from intramural.cli.output import facts, json_option, note, table, write_json
from intramural.cli.progress import counting
from intramural.cli.session import connect
from intramural.pages.words import count, parameters, short_digest, size

DEFAULT_STARTER = "smollm2-135m-instruct"


@click.group()
def model() -> None:
    """Base models: add, list, show, remove."""


@model.command()
@click.argument("name")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="A Transformers folder: config, tokenizer, safetensors weights."
)
@click.option("--hub", metavar="ORG/NAME", help="A model of the hub at HF_ENDPOINT.")
@click.option("--revision", help="The commit of the hub model, 40 hex digits.")
@click.option(
    "--starter", is_flag=False, flag_value=DEFAULT_STARTER, help=f"A starter model; {DEFAULT_STARTER} when none is named."
)
@json_option
def add(name: str, *, folder: Path | None, hub: str | None, revision: str | None, starter: str | None, as_json: bool) -> None:
    """Check a model, store it by digest, and call it NAME."""
    given = [each for each in (folder, hub, starter) if each is not None]
    if len(given) != 1:
        raise click.UsageError("Give one of --folder, --hub, --starter.")
    if hub is not None and revision is None:
        raise click.UsageError("--hub needs --revision, so that the same bytes come every time.")
    if hub is None and revision is not None:
        raise click.UsageError("--revision belongs to --hub.")
    from intramural.domain.views import ModelSource  # noqa: PLC0415 - keeps `--help` fast

    source = ModelSource(folder=str(folder.absolute()) if folder else None, hub=hub, revision=revision, starter=starter)
    with counting(f"Adding {name}") as report:
        added = connect().add_model(name, source, on_progress=report)
    if as_json:
        write_json(added.document())
        return
    note(f"Added {added.name}: {parameters(added.parameters)} parameters, {size(added.size_bytes)}, {added.digest}.")


@model.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """List the base models."""
    models = connect().list_models()
    if as_json:
        write_json([each.document() for each in models])
        return
    rows = [
        [
            each.name,
            parameters(each.parameters),
            each.weights_dtype,
            size(each.size_bytes),
            each.licence or "-",
            short_digest(each.digest),
        ]
        for each in models
    ]
    empty = f"No base model yet. Add one: intramural model add {DEFAULT_STARTER} --starter"
    table(["name", "parameters", "weights", "size", "licence", "digest"], rows, right=[1, 3], empty=empty)


@model.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show one base model."""
    found = connect().show_model(name)
    if as_json:
        write_json(found.document())
        return
    facts(
        [
            ("name", found.name),
            ("class", found.architecture),
            ("parameters", count(found.parameters)),
            ("context", f"{count(found.context_tokens)} tokens"),
            ("weights", f"{found.weights_dtype}, {size(found.size_bytes)}"),
            ("chat template", "yes" if found.chat_template else "no"),
            ("licence", found.licence or "not stated"),
            ("source", found.source),
            ("digest", found.digest),
            ("added", f"{found.added_at:%Y-%m-%d %H:%M}"),
        ]
    )


@model.command()
@click.argument("name")
@json_option
def remove(name: str, as_json: bool) -> None:
    """Remove a base model; refused while a job needs it."""
    connect().remove_model(name)
    write_json({"removed": name}) if as_json else note(f"Removed {name}.")
