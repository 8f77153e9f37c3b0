"""`intramural approve` and `approvals`: a second person's yes, signed with their own SSH key."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from intramural.cli.output import facts, json_option, note, table, write_bytes, write_json
from intramural.cli.session import connect, wake_scheduler
from intramural.errors import InvalidInput, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intramural.domain.approval import Approval, ApprovalRequest, ApprovalStanding

KEY = Path("~/.ssh/id_ed25519")
LARGEST_FILE = 1 << 20
PATH = click.Path(path_type=Path)
KEY_OPTION = click.option(
    "--key", type=PATH, default=KEY, show_default=True, help="Your SSH key, of the kind Ed25519; `.pub`: the agent has it."
)


@click.command()
@click.argument("ref", metavar="[OBJECT]", required=False)
@click.option("--request", type=PATH, help="Sign a request that somebody sent; needs no home. Writes FILE.sig beside it.")
@KEY_OPTION
@click.option("--yes", is_flag=True, help="Do not ask again.")
@json_option
def approve(ref: str | None, request: Path | None, key: Path, yes: bool, as_json: bool) -> None:
    """Say yes to OBJECT: a job that waits, all that an ended JOB made, or one ARTIFACT.

    You sign its digests with your key; who submitted the job cannot. Whoever cannot reach this home signs a --request.
    """
    from intramural.domain.approval import read_request  # noqa: PLC0415 - keeps `--help` fast

    if (ref is None) == (request is None):
        raise click.UsageError("Name an OBJECT, or a --request.")
    if request is not None:
        text = _text(request)
        _confirm(read_request(text), yes=yes or as_json)
        signature, target = _signed(text, key), request.with_name(f"{request.name}.sig")
        write_bytes(signature.encode(), target)
        write_json({"signed": str(target)}) if as_json else note(
            f"Send it back; there: intramural approvals add {request.name}"
        )
        return
    client = connect()
    asked = client.request_approval(ref or "")
    _confirm(asked, yes=yes or as_json)
    _tell_added(client.add_approval(asked.text(), _signed(asked.text(), key)), as_json)


@click.group(invoke_without_command=True)
@click.pass_context
def approvals(context: click.Context) -> None:
    """Approvals: list, request, add, withdraw, approvers; alone it is `approvals list`."""
    if context.invoked_subcommand is None:
        context.invoke(list_, job=None, as_json=False)


@approvals.command(name="list")
@click.argument("job", required=False)
@json_option
def list_(job: str | None, as_json: bool) -> None:
    """List the approvals of JOB and of what it made, or all, and whether each counts now."""
    found = connect().list_approvals(job)
    if as_json:
        write_json([each.document() for each in found])
        return
    table(["id", "by", "when", "job", "of", "counts"], _rows(found), empty="Nobody has approved anything yet.")


@approvals.command()
@click.argument("ref", metavar="OBJECT")
@click.option("-o", "--output", type=PATH, help="The file to write; without it the text is printed.")
@json_option
def request(ref: str, output: Path | None, as_json: bool) -> None:
    """Write what an approver signs, of a job that waits, of what an ended JOB made, or of one ARTIFACT.

    An approver signs it anywhere: `intramural approve --request FILE`, or
    `ssh-keygen -Y sign -n intramural-approval -f KEY FILE`. It holds names and digests, no content.
    """
    asked = connect().request_approval(ref)
    if output is not None or not as_json:
        write_bytes(asked.text().encode(), output)
    if as_json:
        write_json(asked.document())
    elif output is not None:
        note(f"An approver signs it: intramural approve --request {output}\nThen here: intramural approvals add {output}")


@approvals.command()
@click.argument("file", metavar="REQUEST", type=PATH)
@click.argument("signature", required=False, type=PATH)
@json_option
def add(file: Path, signature: Path | None, as_json: bool) -> None:
    """Add a yes: the REQUEST that was signed, and the SIGNATURE, by default REQUEST.sig."""
    text, signed = _text(file), _text(signature or file.with_name(f"{file.name}.sig"))
    _tell_added(connect().add_approval(text, signed), as_json)


@approvals.command()
@click.argument("approval", metavar="ID")
@json_option
def withdraw(approval: str, as_json: bool) -> None:
    """Make an approval count no more, for good; what left or started already is not undone."""
    gone = connect().withdraw_approval(approval)
    write_json(gone.document()) if as_json else note(f"The approval {gone.id} by {gone.by} counts no more.")


@approvals.command()
@json_option
def approvers(as_json: bool) -> None:
    """Show who may approve; the machine's administrator keeps the list in /etc/intramural/approvers."""
    found = connect().list_approvers()
    if as_json:
        write_json([each.document() for each in found])
        return
    table(["who", "key"], [[each.person, each.fingerprint] for each in found], empty="Nobody may approve: there is no list.")


def _rows(found: Sequence[ApprovalStanding]) -> list[list[str]]:
    return [
        [
            each.approval.id,
            each.approval.by,
            f"{each.approval.added_at:%Y-%m-%d %H:%M}",
            each.approval.job,
            ", ".join(one.what.replace("_", " ") for one in each.objects),
            "yes" if each.counts else f"no: {each.why_not}",
        ]
        for each in found
    ]


def _confirm(asked: ApprovalRequest, *, yes: bool) -> None:
    """Show what is about to be signed, and ask a person who is there."""
    if not yes:
        facts(
            [
                ("job", f"{asked.name} ({asked.job}), submitted by {asked.submitted_by}"),
                ("of", f"{asked.base} on {asked.data}" + (f", {asked.label}" if asked.label else "")),
                ("policy", asked.policy),
                ("result", asked.result),
                *((each.what.replace("_", " "), f"{each.id} {each.digest}") for each in asked.objects),
                (
                    "asked by",
                    f"{asked.requested_by} on {asked.requested_at:%Y-%m-%d %H:%M} in {asked.home or 'an unsigned home'}",
                ),
            ]
        )
        if sys.stdin.isatty() and sys.stdout.isatty():
            click.confirm("Approve it?", abort=True)


def _signed(text: str, key: Path) -> str:
    """Have OpenSSH sign the text: it asks for a passphrase itself, and knows agents."""
    path, program = key.expanduser(), shutil.which("ssh-keygen")
    if program is None:
        raise Unavailable("ssh-keygen is not there to sign with.", hint="Install OpenSSH's client, 8.2 or newer.")
    if not path.is_file():
        raise NotFound(f"There is no key {key}.", hint="`ssh-keygen -t ed25519` makes one; --key names another.")
    done = subprocess.run(
        [program, "-Y", "sign", "-n", "intramural-approval", "-f", str(path)],
        input=text,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode != 0:
        raise InvalidInput(f"ssh-keygen did not sign with {key}.", hint="Was the passphrase right, or is the key in the agent?")
    return done.stdout


def _text(file: Path) -> str:
    try:
        with open(file, "rb") as lines:
            content = lines.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise InvalidInput(f"{file} is too large.", hint="Name a request, or its signature.")
        return content.decode()
    except FileNotFoundError:
        raise NotFound(f"There is no file {file}.", hint="`intramural approvals request` writes a request.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{file} cannot be read: {type(error).__name__}.", hint="Name a request, or its signature."
        ) from None


def _tell_added(approval: Approval, as_json: bool) -> None:
    wake_scheduler()
    write_json(approval.document()) if as_json else note(f"Approved by {approval.by}: {approval.id}.")
