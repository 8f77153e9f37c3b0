"""`intramural audit`: every act and every refusal."""

from __future__ import annotations

import click

from intramural.cli.output import json_option, table, write_json
from intramural.cli.session import connect


@click.group()
def audit() -> None:
    """Who did what, and what was refused."""


@audit.command()
@click.option("-n", "--count", "limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many entries.")
@json_option
def tail(limit: int, as_json: bool) -> None:
    """Print the newest entries, the newest last."""
    entries = connect().list_audit(limit=limit)
    if as_json:
        write_json([each.document() for each in entries])
        return
    rows = [
        [
            f"{each.at:%Y-%m-%d %H:%M:%S}",
            each.subject,
            each.action.value,
            each.decision.value,
            each.target or "-",
            each.rule or "",
        ]
        for each in entries
    ]
    table(["at", "who", "action", "decision", "about", "rule"], rows, empty="No entry yet.")
