"""Whether the rows of a file have the fields and the format that somebody named, and what they have instead."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import NamedTuple

from intramural.errors import InvalidInput
from intramural.intake.formats import Fields, Format, formats_of, is_plain_name, shown_names


class _Absent(NamedTuple):
    """A field that no row has."""

    words: str
    """Sentences about it."""
    option: str | None
    """How to name the one that was meant, if one is near."""


def check_ours(names: Iterable[str], known: Set[str]) -> None:
    """Raise `InvalidInput` for a name on the left of a mapping that is no field of ours, but nearly one."""
    for each in sorted(names):
        if each not in known and (near := _nearest(each, known)):
            raise InvalidInput(
                f"No format has a field `{each}`. Did you mean `{near}`?",
                hint="--map is written OURS=THEIRS, for example --map prompt=question.",
            )


def check_fields(
    rows: Sequence[Fields], form: Format, mapping: Mapping[str, str], group_by: str | None, name: str, *, is_all: bool
) -> None:
    """
    Raise `InvalidInput` for a field that is mapped, or grouped by, and that none of the first rows of the file *name* has.

    A mapped field that an example of *form* can do without may come later, unless these rows show that it will not
    (*is_all*), or that another was meant.
    """
    present = {str(field) for row in rows for field in row}
    needed = form.needs(mapping)
    absent = [
        _absent(ours, theirs, present, name)
        for ours, theirs in mapping.items()
        if theirs not in present and (ours in needed or is_all or _nearest(theirs, present))
    ]
    if group_by is not None and group_by not in present:
        absent.append(_absent(None, group_by, present, name))
    if not rows or not absent:
        return
    options = [each.option for each in absent if each.option is not None]
    raise InvalidInput(
        " ".join(each.words for each in absent),
        hint=f"Write {' '.join(options)}." if options else f"Its fields are {', '.join(shown_names(present))}.",
    )


def check_format(form: Format, rows: Sequence[Fields], name: str) -> None:
    """Raise `InvalidInput` where none of the first rows of the file *name* is in the format that somebody named."""
    if not rows or any(form.fits(row) for row in rows):
        return
    likely = Counter(each for row in rows for each in formats_of(row)).most_common(1)
    if likely:
        raise InvalidInput(
            f"{name} is not in the format {form.name}; its rows look like {likely[0][0]}.",
            hint=f"Write --format {likely[0][0]}, or leave --format out.",
        )
    fields = shown_names({str(field) for row in rows for field in row})
    raise InvalidInput(
        f"{name} is not in the format {form.name}, nor in another; the fields are {', '.join(fields) or 'none'}.",
        hint="Name the fields, for example --map prompt=question --map completion=answer.",
    )


def _absent(ours: str | None, field: str, present: Set[str], name: str) -> _Absent:
    near = _nearest(field, present)
    called = f"field `{field}`" if is_plain_name(field) else "such field"
    words = f"There is no {called} {'to group by' if ours is None else f'for {ours}'} in {name}."
    if near is None:
        return _Absent(words, None)
    return _Absent(f"{words} Did you mean `{near}`?", f"--group-by {near}" if ours is None else f"--map {ours}={near}")


def _nearest(field: str, present: Iterable[str]) -> str | None:
    """Return the field that may have been meant, if its name can be shown."""
    known = {each.lower(): each for each in sorted(present) if is_plain_name(each)}
    near = difflib.get_close_matches(field.lower(), known, n=1)
    return known[near[0]] if near else None
