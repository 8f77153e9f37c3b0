"""
Who may approve, and how many persons' yes counts.

The list of approvers is a file outside the home, because whoever may write it can be
anybody on it: it is believed only where the machine's administrator alone can change it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from intramural.domain.approval import ApprovedObject, Approver, Asked, persons_for, read_approvers
from intramural.domain.job import Job
from intramural.errors import InvalidInput, Refused
from intramural.service.context import Context
from intramural.store import Reading

LARGEST_LIST = 1 << 20


def approvers_of(ctx: Context) -> tuple[Approver, ...]:
    """Return the list; none where there is no file. Raises `Refused` where others could change it, `InvalidInput`."""
    place = ctx.approvers
    if place is None:
        return ()
    try:
        with open(place.path, opener=_as_it_is, encoding="utf-8") as file:
            _check(os.fstat(file.fileno()), place.path, place.owner)
            for folder in place.path.absolute().parents:
                _check(os.lstat(folder), folder, place.owner)
            text = file.read(LARGEST_LIST)
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"The list of approvers {place.path} cannot be read: {type(error).__name__}.", hint="Mend the file."
        ) from None
    return read_approvers(text, where=place.path.name)


def persons_approving(ctx: Context, tx: Reading, job: Job, what: ApprovedObject) -> tuple[str, ...]:
    """Return the persons whose approval of that object counts now."""
    given = tx.approvals.of_job(job.id)
    return persons_for(given, Asked(home_name(ctx), job, what), approvers_of(ctx)) if given else ()


def home_name(ctx: Context) -> str:
    """Return the name of the key that signs the trail; empty where there is none."""
    public = ctx.audit_key.public() if ctx.audit_key is not None else None
    return public.name if public is not None else ""


def _as_it_is(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _check(found: os.stat_result, path: Path, owner: int) -> None:
    """Raise `Refused` where somebody else than the administrator could put another list there."""
    is_folder = stat.S_ISDIR(found.st_mode)
    kept_apart = is_folder and found.st_mode & stat.S_ISVTX  # in such a folder nobody replaces what is another's
    if not is_folder and not stat.S_ISREG(found.st_mode):
        raise InvalidInput(f"{path} is no file and no folder.", hint="The list of approvers is a text file, and no link.")
    if found.st_uid not in (0, owner) or (found.st_mode & 0o022 and not kept_apart):
        raise Refused(
            f"The list of approvers is not believed: others than the administrator can change {path}.",
            hint="It and its folders must be root's, and not writable for a group or others.",
            rule="approvers",
        )
