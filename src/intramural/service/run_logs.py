"""What runs printed: a file of the run's directory while it works, an artifact, sealed, once it has ended."""

from __future__ import annotations

import codecs
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from intramural.domain.artifact import Artifact
from intramural.domain.value import RunId
from intramural.domain.views import JobLog
from intramural.domain.workload import LOG_FILE
from intramural.service.context import Context
from intramural.service.jobs import find_job
from intramural.service.run_directories import sealed_logs
from intramural.service.scope_keys import files_of_artifact


def job_log(ctx: Context, ref: str, *, offset: int = 0, limit: int = 1 << 20) -> JobLog:
    """
    Return at most *limit* bytes of the logs of a job's attempts, one after the other, from *offset* on.

    Raises `Unavailable` where the key of a log that was sealed is away.
    """
    with ctx.read() as tx:
        runs = tx.runs.of_job(find_job(ctx, tx, ref).id)
        sealed = sealed_logs(tx, runs)
    body, skip = b"", offset
    for run in runs:
        kept = sealed.get(run.id)
        size = kept.size_bytes if kept is not None else _size(ctx.runs / run.id / LOG_FILE)
        if skip < size and len(body) < limit:
            with suppress(FileNotFoundError), _opened(ctx, run.id, kept) as file:  # the newest, if it is sealed just now
                file.seek(skip)
                body += file.read(limit - len(body))
        skip = max(0, skip - size)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(body)
    # A letter that is cut in two waits for its other half.
    return JobLog(text=text, offset=offset + len(body) - len(decoder.getstate()[0]))


def _opened(ctx: Context, run: RunId, kept: Artifact | None) -> BinaryIO:
    if kept is None:
        return open(ctx.runs / run / LOG_FILE, "rb")
    [(name, file)] = ctx.vault.tree(kept.digest).files.items()
    if file.sealed is None:  # from before there were seals
        return ctx.vault.open(file.digest)
    return ctx.vault.open_sealed(file.sealed, files_of_artifact(ctx, kept), name)


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
