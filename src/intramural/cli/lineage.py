"""`intramural lineage` and `quarantine`: what came from what, and what must not be used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from intramural.cli.output import in_colour, json_option, printable, table, write_json
from intramural.cli.session import connect

if TYPE_CHECKING:
    from intramural.domain.lineage import Branch, LineageObject, QuarantineAnswer


@click.command()
@click.argument("name", metavar="OBJECT")
@json_option
def lineage(name: str, as_json: bool) -> None:
    """Show what OBJECT was made of and what was made of it.

    OBJECT is a base model, a data set (`tickets`, `tickets@2`), a job, a run or an artifact, as other commands take them;
    `model:tiny`, `data:tickets`, `job:router` where several have the name.
    """
    found = connect().show_lineage(name)
    if as_json:
        write_json(found.document())
        return
    click.echo(in_colour(_words(found.object), "bold", err=False))
    for title, branches in (("made of", found.up), ("made of it", found.down)):
        click.echo(f"{title}:" if branches else f"{title}: nothing")
        for line in _tree(branches, ""):
            click.echo(line)


@click.command()
@click.argument("name", metavar="[OBJECT]", required=False)
@click.option("--reason", metavar="TEXT", help="Why; kept with the quarantine, so write no content.")
@click.option("--release", is_flag=True, help="End the quarantine; owners only.")
@click.option("--downstream", is_flag=True, help="Everything made of OBJECT too; with --release what went in because of it.")
@json_option
def quarantine(name: str | None, reason: str | None, release: bool, downstream: bool, as_json: bool) -> None:
    """Keep OBJECT from new runs and from leaving; alone, list what is in quarantine.

    A run that is under way goes on; `intramural cancel` ends it. A job that waits is refused when its turn comes.
    """
    if name is None:
        if reason or release or downstream:
            raise click.UsageError("Name an OBJECT.")
        _list(as_json)
        return
    if release == (reason is not None):
        raise click.UsageError("Give --reason TEXT, or --release.")
    client = connect()
    if reason is None:
        answer = client.release_object(name, downstream=downstream)
    else:
        answer = client.quarantine_object(name, reason, downstream=downstream)
    write_json(answer.document()) if as_json else _tell(answer, released=release, downstream=downstream)


def _list(as_json: bool) -> None:
    found = connect().list_quarantined()
    if as_json:
        write_json([each.document() for each in found])
        return
    rows = [[each.key, f"{each.at:%Y-%m-%d %H:%M}", each.by, each.because_of or "", each.reason] for each in found]
    table(["object", "since", "by", "because of", "reason"], rows, empty="Nothing is in quarantine.")


def _tell(answer: QuarantineAnswer, *, released: bool, downstream: bool) -> None:
    click.echo("Out of quarantine:" if released else "In quarantine:")
    _print_objects(answer.changed)
    if answer.downstream and not downstream:
        click.echo(
            f"Made of it, and {'still in quarantine' if released else 'not in quarantine'} (--downstream takes them too):"
        )
        _print_objects(answer.downstream)


def _print_objects(objects: Sequence[LineageObject]) -> None:
    for each in objects:
        click.echo(f"  {printable(each.key)}  {printable(each.title)}")


def _tree(branches: Sequence[Branch], indent: str) -> Iterator[str]:
    for place, each in enumerate(branches, 1):
        is_last = place == len(branches)
        yield f"{indent}{'└─' if is_last else '├─'} {_words(each.object)}"
        yield from _tree(each.branches, indent + ("   " if is_last else "│  "))


def _words(found: LineageObject) -> str:
    label = found.label.words if found.label else None
    marks = [label, "in quarantine" if found.quarantined else None, "shredded" if found.shredded else None]
    return printable(f"{found.key}  {'; '.join([found.title, *(each for each in marks if each)])}")
