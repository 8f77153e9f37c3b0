"""`intramural policy`: what a project's work must obey."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intramural.cli.output import in_colour, json_option, note, table, write_json
from intramural.cli.session import connect
from intramural.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from intramural.domain.policy import StoredPolicy

CLASSES = ("public", "internal", "confidential", "restricted")
LARGEST_FILE = 1 << 20


@click.group()
def policy() -> None:
    """What work must obey, by the class of its data: show, set."""


@policy.command()
@click.argument("digest", required=False)
@json_option
def show(digest: str | None, as_json: bool) -> None:
    """Show the policy that holds, or one that a job froze, by the beginning of its DIGEST."""
    found = connect().show_policy(digest)
    write_json(found.document()) if as_json else _print(found)


@policy.command(name="set")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Read the file and show what would hold; change nothing.")
@json_option
def set_(file: Path, dry_run: bool, as_json: bool) -> None:
    """Make FILE, a policy.yaml, the policy of the project; jobs that wait are asked again when their turn comes."""
    found = connect().set_policy(_text(file), where=file.name, dry_run=dry_run)
    if as_json:
        write_json(found.document())
        return
    _print(found)
    note("Nothing was changed." if dry_run else "This holds from now on.")


def _text(file: Path) -> str:
    try:
        text = file.read_bytes()[: LARGEST_FILE + 1]
        if len(text) > LARGEST_FILE:
            raise InvalidInput(f"{file} is larger than a policy can be.", hint="`intramural schema policy` describes one.")
        return text.decode()
    except FileNotFoundError:
        raise NotFound(f"There is no file {file}.", hint="`intramural schema policy` describes one.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read: {type(error).__name__}.", hint="It must be a text file in UTF-8.") from None


def _print(found: StoredPolicy) -> None:
    when = f" by {found.by} on {found.at:%Y-%m-%d %H:%M}" if found.at else ""
    click.echo(in_colour(f"Policy {found.digest} ({found.source}{when})", "bold", err=False))
    by_class = [found.policy.document()[each] for each in CLASSES]
    rows = [[name.replace("_", " "), *(_cell(rules[name]) for rules in by_class)] for name in by_class[0]]
    table(["rule", *CLASSES], rows)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items()) or "by default"
    if isinstance(value, list):
        return ", ".join(f"{each['host']}:{each['port']}" if isinstance(each, dict) else each for each in value) or "none"
    return str(value)
