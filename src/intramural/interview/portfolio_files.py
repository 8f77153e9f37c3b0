"""
Many profile files: found, read, told apart, and written without names.

A folder is searched with everything below it. A file that cannot be read ends the work, or is
left out and listed where that was asked for; one that holds the same profile as an earlier file
is counted once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intramural.domain.portfolio import Duplicate, SkippedFile
from intramural.domain.profile import Profile
from intramural.domain.value import digest_of
from intramural.errors import Conflict, IntramuralError, InvalidInput, NotFound
from intramural.interview import profile_file
from intramural.interview.anonymise import anonymised

ENDINGS = {".yaml", ".yml"}
_NAMED = 20


@dataclass
class Gathered:
    """The profiles of many files, and what was left out."""

    profiles: list[Profile] = field(default_factory=list)
    skipped: list[SkippedFile] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)


def gather(places: Sequence[Path], *, skip_bad: bool = False) -> Gathered:
    """Read the profiles in the files and folders of *places*, in the order of their paths.

    Raises `InvalidInput` that names every faulty file with its lines, unless *skip_bad*.
    """
    out, seen = Gathered(), _Seen()
    for path in find_files(places):
        try:
            profile = profile_file.load(path)
        except IntramuralError as error:
            out.skipped.append(SkippedFile(file=str(path), reason=error.message))
            continue
        first = seen.same_as(profile, path)
        if first is None:
            out.profiles.append(profile)
        else:
            out.duplicates.append(Duplicate(file=str(path), same_as=str(first)))
    if out.skipped and not (skip_bad and out.profiles):
        raise _faulty(
            out.skipped,
            hint="No profile is left; mend one of them." if skip_bad else "Mend them, or leave them out with --skip-bad.",
        )
    return out


class _Seen:
    """The profiles so far; digests are made only of those that agree in what is said about the interview itself."""

    def __init__(self) -> None:
        self._alike: dict[tuple[Any, ...], list[tuple[Profile, Path]]] = {}

    def same_as(self, profile: Profile, path: Path) -> Path | None:
        """Remember *profile*, and return the path of an earlier one with the same digest."""
        about = (profile.name, profile.respondent, profile.interviewed, profile.window_days, profile.notes)
        alike = self._alike.setdefault(about, [])
        digest = _digest(profile) if alike else None
        found = next((earlier for other, earlier in alike if _digest(other) == digest), None)
        if found is None:
            alike.append((profile, path))
        return found


def _digest(profile: Profile) -> str:
    return digest_of(profile.document())


def find_files(places: Sequence[Path]) -> list[Path]:
    """Return the profile files of *places*, each once. Raises `NotFound` for a place that is not there or holds none."""
    found: dict[Path, Path] = {}
    for place in places:
        if place.is_dir():
            files = sorted(each for each in place.rglob("*") if _is_profile(each, place))
            if not files:
                raise NotFound(
                    f"{place} holds no profile.", hint="A profile is a .yaml file; `intramural interview` makes one."
                )
        elif place.exists():
            files = [place]
        else:
            raise NotFound(f"{place} is not there.", hint="Name profile files, or a folder of them.")
        for each in files:
            found.setdefault(each.resolve(), each)
    return list(found.values())


def _is_profile(path: Path, folder: Path) -> bool:
    is_hidden = any(step.startswith(".") for step in path.relative_to(folder).parts)
    return path.suffix.lower() in ENDINGS and not is_hidden and path.is_file()


def _faulty(skipped: Sequence[SkippedFile], *, hint: str) -> InvalidInput:
    lines = [each.reason for each in skipped[:_NAMED]]
    if len(skipped) > _NAMED:
        lines.append(f"And {len(skipped) - _NAMED} more files.")
    return InvalidInput("\n".join(lines), hint=hint, files=len(skipped))


def without_names(profiles: Sequence[Profile]) -> list[Profile]:
    """Return the profiles anonymised, numbered in an order that says nothing about the order they came in."""
    bare = sorted((anonymised(each) for each in profiles), key=_digest)
    return [each.model_copy(update={"name": f"profile {n:04d}"}) for n, each in enumerate(bare, 1)]


def write_folder(profiles: Sequence[Profile], folder: Path) -> None:
    """Write *profiles*, anonymised before, as `profile-0001.yaml` and so on into a new folder, all or none of them."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(f"{folder} is there already.", hint="Name a new folder.")
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        beside.mkdir(parents=True)
        for n, profile in enumerate(profiles, 1):
            profile_file.save(beside / f"profile-{n:04d}.yaml", profile)
        beside.replace(folder)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise InvalidInput(f"{folder} cannot be written: {reason}.", hint="Choose another place.") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
