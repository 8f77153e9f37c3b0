"""`intramural keys`: who holds the key that wraps all others, and a new version of it."""

from __future__ import annotations

import click

from intramural.cli.output import facts, json_option, note, write_json
from intramural.cli.session import connect
from intramural.pages.words import count


@click.group()
def keys() -> None:
    """Keys: status, rotate. A key is never printed."""


@keys.command()
@json_option
def status(as_json: bool) -> None:
    """Show who holds the customer's key, whether it answers, and how many keys it wraps."""
    found = connect().keys_status()
    if as_json:
        write_json(found.document())
        return
    provider = found.provider
    unmade = "none yet: made on first use" if provider.available else "unknown"
    facts(
        [
            ("provider", f"{provider.provider}, {provider.where}"),
            (
                "key",
                f"{provider.key}, version {provider.version or unmade}",
            ),
            ("answers", "yes" if provider.available else f"no: {provider.problem}"),
            ("own keys", "one per data set" if provider.own_keys else "no: all scope keys share the customer's key"),
            ("active", f"{count(found.active)}: {count(found.dataset_keys)} of data sets, {count(found.job_keys)} of jobs"),
            ("destroyed", count(found.destroyed)),
            ("behind", f"{count(found.behind)} to wrap anew: `intramural keys rotate`" if found.behind else None),
        ]
    )


@keys.command()
@json_option
def rotate(as_json: bool) -> None:
    """Make a new version of the customer's key and wrap every scope key with it; sealed data stays as it is."""
    done = connect().rotate_keys()
    write_json(done.document()) if as_json else note(
        f"Version {done.version} of the {done.provider} key wraps {count(done.rewrapped)} scope keys; no data was rewritten."
    )
