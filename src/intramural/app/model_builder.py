"""
Fetches model folders outside the walls, and parses, converts and checks them within; the control plane opens none.

What comes out of the walls is judged like any foreign input: five facts of known types, or
an error in a bounded number of plain letters.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Annotated, Any

from pydantic import Field, ValidationError

from intramural.domain.confinement import Level, Limits
from intramural.domain.value import Value
from intramural.domain.views import ModelSource
from intramural.errors import IntegrityFailure, InvalidInput, NotFound, Unavailable, UnsafeModel, from_document
from intramural.service.context import OnProgress

TINY_RANDOM = "tiny-random"
FETCH, BUILD = "intramural.connectors.fetch_model", "intramural.workloads.build_model"
QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "TRANSFORMERS_VERBOSITY": "error"}
MODEL, WHEELS = "model", "wheels"
LONGEST_LINE = 65_536
SCRATCH_BYTES = 8 * 2**30
"""What a starter's weights may take in memory while they are converted."""

Words = Annotated[str, Field(max_length=600, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]


class _Facts(Value):
    """What the program within the walls may say of a model."""

    architecture: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,100}$")]
    parameters: Annotated[int, Field(ge=0)]
    context_tokens: Annotated[int, Field(gt=0)]
    weights_dtype: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]{1,40}$")]
    chat_template: bool


class _Progress(Value):
    progress: Annotated[int, Field(ge=0)]
    total: Annotated[int, Field(ge=0)]
    message: Words


class _Problem(Value):
    """An error's document, without what it is about: no field of it is ours to trust."""

    code: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
    message: Words
    hint: Words | None = None
    about: object = None


class ProcessModelBuilder:
    """Runs the program that fetches and, within walls, the one that builds; reads their lines."""

    def __init__(self, hub_endpoint: str | None, home: Path | None = None, *, level: Level | None = None) -> None:
        """*level* is how firmly the one that builds is confined, by default as firmly as this machine can."""
        self._hub_endpoint = hub_endpoint
        self._home = home
        self._level = level

    def build(self, source: ModelSource, target: Path, on_progress: OnProgress) -> dict[str, Any]:
        """Fill or check *target*; raise the error that a program told, or `Unavailable` when it died."""
        request = _request(source)
        with tempfile.TemporaryDirectory(dir=target.parent, ignore_cleanup_errors=True) as work:
            place = Path(work)
            (place / WHEELS).mkdir(mode=0o700)
            about = {"source": "random" if source.starter else "folder", "licence": "Apache-2.0" if source.starter else None}
            if request["source"] in {"hub", "starter"}:
                fetched = {**request, "endpoint": self._hub_endpoint, "target": str(_fetch_into(request, target, place))}
                about = _fetch(fetched, on_progress)
            target.rename(place / MODEL)
            facts = self._within_walls(request, place, on_progress)
            if (place / MODEL).is_symlink() or not (place / MODEL).is_dir():
                raise UnsafeModel("What was made is no folder.", hint="Do not use this model.", rule="model:plain-files")
            (place / MODEL).rename(target)
        return {**facts.document(), **about}

    def _within_walls(self, request: Mapping[str, Any], place: Path, on_progress: OnProgress) -> _Facts:
        """Parse, convert and check what lies in *place*, without a network, in the firmest walls of this machine."""
        from intramural.walls.worker import worker  # noqa: PLC0415 - the command line imports this module
        from intramural.workloads.environment import workload_environment  # noqa: PLC0415 - as above

        makes = request["source"] in {"starter", TINY_RANDOM}
        inside = {**request, "source": "folder" if request["source"] == "hub" else request["source"]}
        told, answer = os.pipe()
        with tempfile.TemporaryFile() as said, open(told, "rb") as lines:
            try:
                words = [json.dumps({**inside, "target": MODEL, "wheels": WHEELS}), str(answer)]
                walls = worker(
                    BUILD,
                    words,
                    environment={**workload_environment(), **QUIET},
                    run_directory=place,
                    kept=(WHEELS,) if makes else (MODEL, WHEELS),
                    output=said.fileno(),
                    pass_fds=(answer,),
                    limits=Limits(scratch_bytes=SCRATCH_BYTES),
                    level=self._level,
                    hidden=self._home,
                )
                with walls as confined:
                    os.close(answer)
                    answer = -1
                    told_last = _follow(lines, on_progress)
                    confined.wait()
            finally:
                if answer >= 0:
                    os.close(answer)
            return _judged(told_last, said)


def _judged(answer: dict[str, Any] | None, said: IO[bytes]) -> _Facts:
    """Return the facts, or raise the error, that the program within the walls told."""
    if answer is None:
        raise _died("built", said)
    try:
        if "error" not in answer:
            return _Facts.model_validate(answer.get("model"))
        problem = _Problem.model_validate(answer["error"])
    except ValidationError as error:
        raise IntegrityFailure(
            "What checks the model said something it never says.", hint="The model may be hostile; do not use it."
        ) from error
    raise from_document({"code": problem.code, "message": problem.message, "hint": problem.hint})


def _fetch_into(request: Mapping[str, Any], target: Path, place: Path) -> Path:
    return target if request["source"] == "hub" else place / WHEELS


def _fetch(request: Mapping[str, Any], on_progress: OnProgress) -> dict[str, Any]:
    """Have a process of its own fetch what the request names; return where it came from."""
    command = [sys.executable, "-m", FETCH, json.dumps(request)]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **QUIET}) as process,
    ):
        try:
            answer = _follow(process.stdout, on_progress) if process.stdout is not None else None
        except BaseException:
            process.kill()  # nobody waits for it any more
            raise
        process.wait()
        if answer is None:
            raise _died("fetched", errors)
    if "error" in answer:
        raise from_document(answer["error"])
    return dict(answer["fetched"])


def _follow(lines: IO[bytes], on_progress: OnProgress) -> dict[str, Any] | None:
    """Pass the progress on; return the last document that is none. A line that is too long ends it."""
    answer = None
    while (line := lines.readline(LONGEST_LINE)) and line.endswith(b"\n"):
        document = _document(line)
        if "progress" in document:
            try:
                step = _Progress.model_validate(document)
            except ValidationError:
                continue
            on_progress(step.progress, step.total, step.message)
        elif document:
            answer = document
    return answer


def _died(done: str, said: IO[bytes]) -> Unavailable:
    """Return the error of a program that ended without an answer, with the last line it printed."""
    said.seek(0)
    printed = said.read().decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
    last = "".join(each for each in printed[0] if each.isprintable())[:300]
    return Unavailable(f"The model could not be {done}: {last}", hint=_next_step(last))


def _next_step(last_line: str) -> str:
    if any(f"No module named '{each}'" in last_line for each in ("torch", "transformers", "peft", "huggingface_hub")):
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
        from intramural.connectors.fetch_model import STARTERS  # noqa: PLC0415 - the command line imports this module

        known = STARTERS.get(source.starter)
        if known is None:
            there = ", ".join([*STARTERS, TINY_RANDOM])
            raise NotFound(f"There is no starter model {source.starter}.", hint=f"Starters: {there}.")
        return {"source": "starter", "starter": source.starter, "file": known.file, "sha256": known.sha256, "name": known.name}
    if source.hub is not None:
        return {"source": "hub", "repository": source.hub, "revision": _pinned(source.hub, source.revision)}
    return {"source": "folder"}


def _pinned(repository: str, revision: str | None) -> str:
    """Return the commit that *revision* is; a branch or a tag would be other bytes tomorrow."""
    if revision is None or not re.fullmatch(r"[0-9a-f]{40}", revision.lower()):
        what = "none was given" if revision is None else f"{revision} is none"
        raise InvalidInput(
            f"A hub model is pinned to a commit, 40 hex digits; {what}.",
            hint=f"Give --revision COMMIT: `git ls-remote HUB/{repository}` lists them, HUB being the hub's address.",
        )
    return revision.lower()


def _document(line: bytes) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
