"""Builds model folders in a process that has the workloads' libraries; the control plane never imports them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from intramural.domain.views import ModelSource
from intramural.errors import InvalidInput, Unavailable, from_document
from intramural.service.context import OnProgress

TINY_RANDOM = "tiny-random"
QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "TRANSFORMERS_VERBOSITY": "error"}


class ProcessModelBuilder:
    """Runs `python -m intramural.workloads.build_model` and reads its lines."""

    def __init__(self, hub_endpoint: str | None) -> None:
        self._hub_endpoint = hub_endpoint

    def build(self, source: ModelSource, target: Path, on_progress: OnProgress) -> dict[str, Any]:
        """Fill or check *target*; raise the error the process reported, or `Unavailable` when it died."""
        request = {**_request(source), "target": str(target), "endpoint": self._hub_endpoint}
        command = [sys.executable, "-m", "intramural.workloads.build_model", json.dumps(request)]
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **QUIET}) as process,
        ):
            try:
                answer = _follow(process.stdout or (), on_progress)
            except BaseException:
                process.kill()  # nobody waits for it any more
                raise
            process.wait()
            errors.seek(0)
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
        if answer is None:
            raise Unavailable(f"The model could not be built: {last[0][:300]}", hint=_next_step(last[0]))
        if "error" in answer:
            raise from_document(answer["error"])
        return dict(answer["model"])


def _follow(lines: Iterable[bytes], on_progress: OnProgress) -> dict[str, Any] | None:
    """Pass the progress on; return the last document that is none."""
    answer = None
    for line in lines:
        document = _document(line)
        if "progress" in document:
            on_progress(document["progress"], document["total"], document["message"])
        elif document:
            answer = document
    return answer


def _next_step(last_line: str) -> str:
    if any(f"No module named '{each}'" in last_line for each in ("torch", "transformers", "peft")):
        return "Install the workloads: pip install 'intramural[train]'."
    return "Try again; `free -h` tells whether memory ran out."


def _request(source: ModelSource) -> dict[str, Any]:
    if sum(each is not None for each in (source.folder, source.hub, source.starter)) != 1:
        raise InvalidInput(
            "A model comes from one of: a folder, a hub, a starter.", hint="Give one of --folder, --hub, --starter."
        )
    if source.starter == TINY_RANDOM:
        return {"source": TINY_RANDOM}
    if source.starter is not None:
        return {"source": "starter", "name": source.starter}
    if source.hub is not None:
        if source.revision is None:
            raise InvalidInput("A hub model needs the revision it is pinned to.", hint="Give --revision.")
        return {"source": "hub", "repository": source.hub, "revision": source.revision}
    return {"source": "folder"}


def _document(line: bytes) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
