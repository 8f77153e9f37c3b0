"""The nearest question to a path that is none, in words."""

from __future__ import annotations

import difflib

from intramural.domain.profile import FIELDS


def no_such_question(path: str) -> str:
    """Return that there is no such question, and which one is near."""
    by_name = {each.path.partition(".")[2]: each.path for each in FIELDS}
    paths = [each.path for each in FIELDS]
    near = difflib.get_close_matches(path, paths, n=1, cutoff=0.7)
    near = near or [by_name[each] for each in difflib.get_close_matches(path.rpartition(".")[2], by_name, n=1)]
    return f"no question `{path}`" + (f"; did you mean `{near[0]}`?" if near else ".")
