"""`intramural audit`: every act and every refusal, who can prove it, and how long it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from intramural.cli.leaks import leak_test
from intramural.cli.output import facts, json_option, note, table, write_json
from intramural.cli.progress import counting
from intramural.cli.session import connect

if TYPE_CHECKING:
    from intramural.domain.audit import AuditCheck, AuditEntry

MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


@click.group(invoke_without_command=True)
@click.pass_context
def audit(context: click.Context) -> None:
    """Who did what, and what was refused; alone it is `audit tail`."""
    if context.invoked_subcommand is None:
        context.invoke(tail, limit=20, as_json=False)


audit.add_command(leak_test)


@audit.command()
@click.option("-n", "--count", "limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many entries.")
@json_option
def tail(limit: int, as_json: bool) -> None:
    """Print the newest entries, the newest last."""
    _print_entries(connect().list_audit(limit=limit), as_json)


@audit.command()
@click.option("--subject", help="Who: a name as `tail` shows it, with or without `user:`.")
@click.option("--action", help="`job:cancel`, or `job` for every action on jobs.")
@click.option("--object", "target", help="Part of the object's name, or the beginning of its digest.")
@click.option("--decision", type=click.Choice(["allowed", "refused"]), help="How it was decided.")
@click.option("--since", type=MOMENT, help="From this moment on, UTC.")
@click.option("--until", type=MOMENT, help="Before this moment, UTC.")
@click.option(
    "-n", "--count", "limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="How many at most."
)
@json_option
def search(
    subject: str | None,
    action: str | None,
    target: str | None,
    decision: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Print the newest entries that match every option, the newest last. Pruned entries match nothing."""
    from intramural.domain.audit import AuditFilter, Decision  # noqa: PLC0415 - keeps `--help` fast

    wanted = AuditFilter(
        subject=subject,
        action=action,
        target=target,
        decision=Decision(decision) if decision else None,
        since=since.replace(tzinfo=UTC) if since else None,
        until=until.replace(tzinfo=UTC) if until else None,
        limit=limit,
    )
    _print_entries(connect().search_audit(wanted), as_json)


@audit.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), help="The public key for FILE; without it, that of INTRAMURAL_HOME.")
@click.option("--accept", is_flag=True, help="Answer for entries that were not signed, or for a restored backup; recorded.")
@json_option
def verify(file: Path | None, key: Path | None, accept: bool, as_json: bool) -> None:
    """Check every entry of the trail, or of an exported FILE, and name the first bad one (exit code 6)."""
    if file is None:
        if key is not None:
            raise click.UsageError("--key belongs to a FILE.")
        check = connect().verify_audit(accept=accept)
    else:
        if accept:
            raise click.UsageError("--accept belongs to the trail itself, not to a FILE.")
        check = _verify_file(file, key)
    if as_json:
        write_json(check.document())
        return
    signed = f"all signed up to entry {check.signed}" if check.signed >= check.first + check.entries - 1 else "not signed"
    facts(
        [
            ("whole", f"{check.entries:,} entries from {check.first:,} on, {signed}"),
            ("rows", f"{check.rows:,} rows of the database are as they were written" if check.rows else None),
            ("pruned", f"{check.pruned:,} bodies, by recorded acts" if check.pruned else None),
            ("clock", f"set back before {check.clock_set_back:,} entries, which are marked" if check.clock_set_back else None),
            ("root", check.root),
            ("key", check.key or "none"),
        ]
    )


def _verify_file(file: Path, key: Path | None) -> AuditCheck:
    from intramural.connectors.audit_file import check_audit_file  # noqa: PLC0415 - keeps `--help` fast
    from intramural.domain.audit_head import PublicKey  # noqa: PLC0415 - as above
    from intramural.errors import InvalidInput  # noqa: PLC0415 - as above
    from intramural.settings import load_settings  # noqa: PLC0415 - as above

    key = key or load_settings().home / "keys" / "audit.pub"
    try:
        line = key.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"The public key {key} cannot be read.", hint="Name the file with --key; it is keys/audit.pub of the home."
        ) from error
    public = PublicKey.read(line)
    with counting(f"Verifying {file.name}") as report:
        return check_audit_file(file, public, lambda done, total: report(done, total, "reading"))


@audit.command()
@click.option("-o", "--output", "file", type=click.Path(path_type=Path), required=True, help="A new file.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["ocsf", "cef", "syslog"]),
    default="ocsf",
    show_default=True,
    help="OCSF alone can be verified.",
)
@click.option(
    "--after", type=click.IntRange(0), default=0, help="Only entries after this one: what came since the last export."
)
@json_option
def export(file: Path, form: str, after: int, as_json: bool) -> None:
    """Write the trail for other systems; an OCSF file can be verified offline. Recorded as an act."""
    done = connect().export_audit(file, form, after)
    if as_json:
        write_json(done.document())
        return
    note(f"Written to {file}: {done.entries:,} entries, {done.first:,} to {done.last:,}.")


@audit.command()
@click.argument("entry", metavar="ID", type=click.IntRange(1))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the proof to a file.")
@json_option
def prove(entry: int, output: Path | None, as_json: bool) -> None:
    """Print the proof that entry ID is in the signed trail: for anybody who has the public key."""
    proof = connect().prove_audit(entry)
    if as_json or output is not None:
        write_json(proof.document(), output)
        return
    facts(
        [
            ("entry", f"{proof.seq} of {proof.tree_size}"),
            ("record", proof.record),
            ("leaf", proof.leaf),
            ("path", " ".join(proof.path) or "none: it is the only entry"),
            ("root", proof.root),
            ("signed", "yes" if proof.head else "no"),
        ]
    )
    if proof.head:
        click.echo(f"\n{proof.head}", nl=False)


@audit.command()
@click.option("--dry-run", is_flag=True, help="Only count.")
@json_option
def prune(dry_run: bool, as_json: bool) -> None:
    """Take away what entries say once their retention is over; that they were there stays proved. See `audit_keep_…_days`."""
    done = connect().prune_audit(dry_run=dry_run)
    if as_json:
        write_json(done.document())
        return
    counts = ", ".join(f"{count:,} of {kind}" for kind, count in done.entries.items())
    note(f"{'Would take away' if dry_run else 'Took away'} {counts}; {done.held:,} are held.")


@audit.command()
@click.argument("name")
@click.option("--subject", help="Only entries of this subject.")
@click.option("--object", "target", help="Only entries about this object.")
@json_option
def hold(name: str, subject: str | None, target: str | None, as_json: bool) -> None:
    """Begin a legal hold: nothing it covers is pruned until it is released."""
    begun = connect().hold_audit(name, subject, target)
    if as_json:
        write_json(begun.document())
        return
    note(f"Hold {begun.name} stands.")


@audit.command()
@click.argument("name")
@json_option
def release(name: str, as_json: bool) -> None:
    """End a legal hold."""
    ended = connect().release_audit(name)
    if as_json:
        write_json(ended.document())
        return
    note(f"Hold {ended.name} is over.")


@audit.command()
@json_option
def holds(as_json: bool) -> None:
    """List the legal holds that stand."""
    standing = connect().list_holds()
    if as_json:
        write_json([each.document() for each in standing])
        return
    rows = [[each.name, f"{each.since:%Y-%m-%d %H:%M}", each.subject or "everybody", each.target or "all"] for each in standing]
    table(["name", "since", "subject", "object"], rows, empty="No hold stands.")


def _print_entries(entries: Sequence[AuditEntry], as_json: bool) -> None:
    if as_json:
        write_json([each.document() for each in entries])
        return
    rows = [
        [
            str(each.seq),
            f"{each.at:%Y-%m-%d %H:%M:%S}" + (" (clock set back)" if each.clock_back_seconds else ""),
            each.subject,
            each.action.value,
            each.decision.value,
            " ".join(filter(None, (each.target, each.digest))) or "-",
            each.rule or "",
        ]
        for each in entries
    ]
    table(["id", "at", "who", "action", "decision", "about", "rule"], rows, right=[0], empty="No entry yet.")
