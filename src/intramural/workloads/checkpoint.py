"""
Resumable states, each whole or absent.

A checkpoint is a folder `step-00000042` of safetensors and JSON, never pickle. It is written
beside (`.step-00000042.partial`), every file fsynced, the manifest of digests last, then renamed;
removed the other way round. What a kill left beside is removed by the next write. The
training thread waits only for the copy of the tensors; sealing, hashing and writing happen
in a thread of their own. Reading verifies every file against the manifest first, whose
digests are of the bytes on the disk: sealed ones, where the run seals.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save
from torch import Tensor

from intramural.errors import IntegrityFailure
from intramural.sealing import Files, PlainFiles

MANIFEST = "manifest.json"
TENSORS = "state.safetensors"
STATE = "state.json"
FORMAT = 1
_PLAIN = PlainFiles()


@dataclass(frozen=True)
class Snapshot:
    """Everything a run needs to go on exactly: tensors copied, the rest plain JSON."""

    step: int
    tensors: dict[str, Tensor]
    state: dict[str, Any]


def folder_name(step: int) -> str:
    """Return the name of the checkpoint of *step*, sortable as text."""
    return f"step-{step:08d}"


class CheckpointWriter:
    """Writes snapshots in a thread, one at a time, and keeps the newest few."""

    def __init__(
        self, folder: Path, keep: int, on_written: Callable[[int, int, float, float], None], files: Files = _PLAIN
    ) -> None:
        """*on_written* is told step, bytes, seconds the training thread was blocked and seconds of writing."""
        self._folder, self._keep, self._on_written, self._files = folder, keep, on_written, files
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        folder.mkdir(mode=0o700, exist_ok=True)

    def write(self, make: Callable[[], Snapshot]) -> None:
        """Copy the state with *make* now and write it in the background; raise what the write before ran into."""
        began = time.perf_counter()
        self.wait()
        snapshot = make()
        blocked = time.perf_counter() - began
        self._thread = threading.Thread(target=self._run, args=(snapshot, blocked), name="checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is being written; raise what went wrong."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _run(self, snapshot: Snapshot, blocked: float) -> None:
        began = time.perf_counter()
        try:
            size = write_checkpoint(self._folder, snapshot, self._files)
            prune(self._folder, self._keep)
            self._on_written(snapshot.step, size, blocked, time.perf_counter() - began)
        except BaseException as error:  # raised again in the training thread by `wait`
            self._error = error


def write_checkpoint(folder: Path, snapshot: Snapshot, files: Files = _PLAIN) -> int:
    """Write *snapshot* through *files* under *folder* so that it is whole or absent, and return its size in bytes."""
    target = folder / folder_name(snapshot.step)
    partial = folder / f".{target.name}.partial"
    for remains in folder.glob(".step-*"):
        shutil.rmtree(remains, ignore_errors=True)
    partial.mkdir(mode=0o700)
    try:
        plain = {
            TENSORS: save(snapshot.tensors, metadata={"format": "pt"}),
            STATE: json.dumps({"step": snapshot.step, **snapshot.state}, sort_keys=True).encode(),
        }
        bodies = {name: files.body(plain.pop(name), f"{target.name}/{name}") for name in (TENSORS, STATE)}
        manifest = {
            "format": FORMAT,
            "step": snapshot.step,
            "files": {name: {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)} for name, body in bodies.items()},
        }
        for name, body in [*bodies.items(), (MANIFEST, json.dumps(manifest, sort_keys=True).encode())]:
            _write_synced(partial / name, body)
        _sync_folder(partial)
        if target.exists():
            _remove(target)
        partial.rename(target)
        _sync_folder(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return sum(len(body) for body in bodies.values())


def prune(folder: Path, keep: int) -> None:
    """Remove all but the newest *keep* checkpoints."""
    for old in _newest_first(folder)[keep:]:
        _remove(old)


def _remove(checkpoint: Path) -> None:
    # Renamed first: a kill in the middle must not leave something that looks like a checkpoint.
    gone = checkpoint.with_name(f".{checkpoint.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    checkpoint.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def verify(folder: Path) -> dict[str, Any]:
    """Return the manifest of a checkpoint after checking every file; raise `IntegrityFailure` with what is wrong."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        files = {str(name): (str(each["sha256"]), int(each["size"])) for name, each in manifest["files"].items()}
    except FileNotFoundError:
        raise IntegrityFailure(f"{folder.name} has no manifest.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise IntegrityFailure(f"{folder.name} has a damaged manifest.") from None
    if manifest.get("format") != FORMAT or set(files) != {TENSORS, STATE}:
        raise IntegrityFailure(f"{folder.name} is of another format.")
    for name, (digest, size) in files.items():
        try:
            body = (folder / name).read_bytes()
        except OSError:
            raise IntegrityFailure(f"{folder.name} lacks {name}.") from None
        if len(body) != size or hashlib.sha256(body).hexdigest() != digest:
            raise IntegrityFailure(f"{folder.name}: {name} is not what its manifest says.")
    return dict(manifest)


def load(folder: Path, files: Files = _PLAIN) -> Snapshot:
    """Return a verified checkpoint, opened with *files*; raise `IntegrityFailure`."""
    verify(folder)
    body, state_body = (files.plain((folder / name).read_bytes(), f"{folder.name}/{name}") for name in (TENSORS, STATE))
    try:
        tensors = load_tensors(body)
    except SafetensorError:
        raise IntegrityFailure(f"{folder.name}: {TENSORS} cannot be read.") from None
    state = json.loads(state_body)
    return Snapshot(int(state.pop("step")), tensors, state)


def newest_verified(folders: list[Path]) -> tuple[Path | None, list[str]]:
    """Return the newest checkpoint under *folders* that verifies, and why newer ones did not."""
    skipped = []
    candidates = [each for folder in folders if folder.is_dir() for each in _newest_first(folder)]
    for candidate in sorted(candidates, key=lambda each: each.name, reverse=True):
        try:
            verify(candidate)
        except IntegrityFailure as error:
            skipped.append(error.message)
            continue
        return candidate, skipped
    return None, skipped


def copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return copies on the CPU, taken now."""
    return {name: torch.empty_like(each, device="cpu").copy_(each.detach()) for name, each in tensors.items()}


def _newest_first(folder: Path) -> list[Path]:
    return sorted((each for each in folder.iterdir() if each.is_dir() and each.name.startswith("step-")), reverse=True)


def _write_synced(path: Path, body: bytes) -> None:
    with open(path, "xb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
