"""Base models: added once, checked, kept by digest."""

from __future__ import annotations

import json
import shutil
from difflib import get_close_matches
from pathlib import Path

from intramural.domain.access import Action
from intramural.domain.job import JobState
from intramural.domain.model import BaseModelVersion
from intramural.domain.value import check_name
from intramural.domain.views import ModelSource
from intramural.errors import Conflict, InvalidInput, NotFound, Refused, UnsafeModel
from intramural.service.audit import check_not_held
from intramural.service.context import Context, OnProgress
from intramural.service.scratch import scratch
from intramural.store import Reading, Transaction
from intramural.vault import disk_errors

CODE = (".py", ".pyc", ".so")
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
LONGEST_JSON = 16 * 2**20
"""The two files that are read here to be judged; all others are opened within walls only, but for headers (`layers`)."""


def add_model(ctx: Context, name: str, source: ModelSource, on_progress: OnProgress) -> BaseModelVersion:
    """Fetch or read a model, check it, and store it by digest. Raises `UnsafeModel`, `Conflict` and what the builder raises."""
    check_name(name)
    ctx.check(Action.MODEL_ADD, target=name)
    with ctx.read() as tx:
        if tx.models.find(ctx.project, name):
            raise Conflict(f"There is a base model {name} already.", hint="Remove it first, or choose another name.")
    with scratch(ctx.home) as work:
        try:
            folder = _start(source, work / "model", on_progress)
            facts = ctx.model_builder.build(source, folder, on_progress)
            check_folder(folder)
        except Refused as refusal:
            raise ctx.refuse(Action.MODEL_ADD, refusal, target=name) from None
        on_progress(1, 1, "storing by digest")
        with ctx.vault.adding():
            digest, tree = ctx.vault.put_tree(folder)
            model = BaseModelVersion(name=name, digest=digest, size_bytes=tree.size_bytes, added_at=ctx.now(), **facts)
            with ctx.act(Action.MODEL_ADD, target=f"{name} {digest}") as tx:
                tx.models.add(ctx.project, model)
    return model


def _start(source: ModelSource, target: Path, on_progress: OnProgress) -> Path:
    """Make the folder the builder works in, filled with a copy of what a folder source gave."""
    if source.folder is None:
        target.mkdir(mode=0o700)
        return target
    given = Path(source.folder)
    if not given.is_dir():
        raise NotFound(f"There is no folder {given}.", hint="Give the folder that holds config.json.")
    check_folder(given)
    on_progress(0, 1, "copying the folder")
    with disk_errors("The copy of the model"):
        shutil.copytree(given, target, symlinks=True)
    return target


def check_folder(folder: Path) -> None:
    """Raise `UnsafeModel` for pickle weights or code, `InvalidInput` for a folder that is no model."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise UnsafeModel(f"{name} is a link.", hint="Give a folder of plain files.", rule="model:plain-files")
        if not path.is_file() and not path.is_dir():
            raise UnsafeModel(f"{name} is no plain file.", hint="Give a folder of plain files.", rule="model:plain-files")
        if path.suffix.lower() in PICKLES:
            raise UnsafeModel(
                f"{name} holds pickled weights, which can run code when they are loaded.",
                hint="Convert the model to safetensors and leave the pickle files out.",
                rule="model:no-pickle",
            )
        if path.suffix.lower() in CODE:
            raise UnsafeModel(f"{name} is code; a model may not bring its own.", hint="Remove it.", rule="model:no-remote-code")
    config = _json(folder / "config.json")
    _no_code(config)
    _no_code(_json(folder / "tokenizer_config.json", required=False))
    if not list(folder.glob("*.safetensors")):
        raise InvalidInput("The folder has no *.safetensors.", hint="Save the model with safe_serialization=True.")
    if not (folder / "tokenizer.json").is_file():
        raise InvalidInput("The folder has no tokenizer.json.", hint="Save a fast tokenizer into the folder.")


def _no_code(config: dict[str, object]) -> None:
    if "auto_map" in config:
        raise UnsafeModel(
            "The configuration asks for code from elsewhere (auto_map).",
            hint="Use a model whose architecture Transformers has itself.",
            rule="model:no-remote-code",
        )


def _json(path: Path, *, required: bool = True) -> dict[str, object]:
    try:
        if path.stat().st_size > LONGEST_JSON:
            raise InvalidInput(f"{path.name} is larger than any model's.", hint="Save the model again.")
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        if not required:
            return {}
        raise InvalidInput(f"The folder has no {path.name}.", hint="Give a model folder as Transformers saves it.") from None
    except (ValueError, RecursionError):
        raise InvalidInput(f"{path.name} is not JSON.", hint="Save the model again.") from None
    return document if isinstance(document, dict) else {}


def list_models(ctx: Context) -> list[BaseModelVersion]:
    """Return every base model, oldest first."""
    with ctx.read() as tx:
        return tx.models.all(ctx.project)


def show_model(ctx: Context, name: str) -> BaseModelVersion:
    """Return one base model. Raises `NotFound` with the nearest name."""
    with ctx.read() as tx:
        return find_model(ctx, tx, name)


def find_model(ctx: Context, tx: Reading, name: str) -> BaseModelVersion:
    """Return the model of that name within a reading. Raises `NotFound` with the nearest name."""
    found = tx.models.find(ctx.project, name)
    if found is None:
        known = [each.name for each in tx.models.all(ctx.project)]
        raise NotFound(f"There is no base model {name}.", hint=nearest(name, known, "intramural model add"))
    return found


def remove_model(ctx: Context, name: str) -> None:
    """Forget a base model and free its disk space. Raises `Conflict` while a job needs it, `Refused` under a hold."""
    with ctx.vault.removing():
        with ctx.act(Action.MODEL_REMOVE, target=name) as tx:
            model = _forget(ctx, tx, name)
            trees, files = tx.models.digests() | tx.artifacts.digests(), tx.datasets.digests()
        ctx.vault.remove_tree(model.digest, trees=trees, files=files)


def _forget(ctx: Context, tx: Transaction, name: str) -> BaseModelVersion:
    model = find_model(ctx, tx, name)
    check_not_held(ctx, tx, [(name, model.digest)])
    unfinished = tx.jobs.in_states(each for each in JobState if not each.is_final)
    busy = [each for each in unfinished if each.project == ctx.project and each.base_digest == model.digest]
    if busy:
        raise Conflict(f"Job {busy[0].spec.name} needs {name}.", hint=f"Wait for it, or `intramural cancel {busy[0].id}`.")
    tx.models.remove(ctx.project, name)
    return model


def nearest(name: str, known: list[str], otherwise: str) -> str:
    """Return a hint: the nearest of *known* names, or what to do when there is none."""
    near = get_close_matches(name, known, n=1)
    if near:
        return f"Did you mean {near[0]}?"
    return f"Known: {', '.join(known[:10])}." if known else f"Add one with `{otherwise}`."
