"""
How an answer is checked and put into a profile.

Whatever asks (the terminal, a pipe, a sheet, later the web form) hands the text or the YAML
value that was given to `answer`. What was measured or imported for the same question stays
beside it. Messages name the question and what it takes, never what was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from intramural.domain.answer_tables import Shares
from intramural.domain.answers import Answer, Answers, Confidence, is_unknown
from intramural.domain.asking import ProfileField
from intramural.domain.profile import FIELDS, Profile, field_of
from intramural.domain.quantity import Quantity
from intramural.errors import InvalidInput

_EXACTLY = re.compile(r"^\s*(?:=|exactly\b)\s*", re.IGNORECASE)
"""Said before an answer that is not rough."""


def answer(profile: Profile, path: str, given: Any) -> Profile:
    """Return *profile* with *given* as what was asked at *path*. Raises `InvalidInput` in words for the person who gave it."""
    asked = field_of(path)
    said = read_answer(asked, given)
    present = profile.answers(path)
    if present.asked and (present.asked.value, present.asked.confidence) == (said.value, said.confidence):
        return profile  # with its window and its source
    changed = profile.with_answers(path, present.model_copy(update={"asked": said}))
    check_together(changed, (path,))
    return changed


def read_answer(asked: ProfileField, given: Any) -> Answer[Any]:
    """Return what *given* says. Raises `InvalidInput`."""
    confidence = Confidence.ROUGH
    if isinstance(given, str) and _EXACTLY.match(given):
        given, confidence = _EXACTLY.sub("", given), Confidence.EXACT
    if given is None or is_unknown(given):
        return Answer[Any](value=None)
    try:
        return Answer[Any](value=asked.kind.read(given), confidence=confidence)
    except ValueError as error:
        raise InvalidInput(
            f"`{asked.path}`: {error}.", hint=f"For example: {asked.kind.example}", path=asked.path, words=str(error)
        ) from None


def written(asked: ProfileField, said: Answer[Any]) -> str:
    """Return *said* as a person would write it; `answer` reads it back."""
    if said.value is None:
        return "unknown"
    text = asked.kind.write(said.value)
    return f"={text}" if said.confidence is Confidence.EXACT else text


def without_answer(profile: Profile, path: str) -> Profile:
    """Return *profile* as if the question had not been put; what was measured stays."""
    return profile.with_answers(path, profile.answers(path).model_copy(update={"asked": None}))


def shares_that_do_not_add_up(profile: Profile) -> dict[str, float]:
    """Return the sum of every table of shares, asked for, that is not the whole, by path."""
    said = {each.path: profile.answers(each.path).asked for each in FIELDS}
    shares = {path: each.value for path, each in said.items() if each and isinstance(each.value, Shares)}
    return {path: each.total for path, each in shares.items() if each.total is not None and not each.adds_up()}


def normalised(profile: Profile, path: str) -> Profile:
    """Return *profile* with the shares asked for at *path* scaled to 100 %."""
    answers: Answers[Any] = profile.answers(path)
    if answers.asked is None or not isinstance(answers.asked.value, Shares):
        return profile
    said = answers.asked.model_copy(update={"value": answers.asked.value.normalised()})
    return profile.with_answers(path, answers.model_copy(update={"asked": said}))


def check_together(profile: Profile, paths: tuple[str, ...] = ()) -> None:
    """Raise `InvalidInput` when two answers cannot both be true; with *paths*, only about those."""
    for first, second, contradict, words in _TOGETHER:
        one, other = profile.answers(first).asked, profile.answers(second).asked
        about = not paths or first in paths or second in paths
        if about and one and other and one.value is not None and other.value is not None and contradict(one.value, other.value):
            named = paths[0] if paths else second
            hint = f"Change `{first}` or `{second}`; `unknown` is an answer too."
            raise InvalidInput(f"`{named}`: {words}.", hint=hint, path=named, words=words)


def _nodes_without_gpus(gpus: Shares, multi_node: Quantity) -> bool:
    kind: Any = field_of("anatomy.gpu_count").kind
    largest = max((kind.keys.read(each).middle for each in gpus.parts), default=0.0)
    return largest <= 1 and (multi_node.low or 0.0) > 0


def _more(one: Quantity, other: Quantity) -> bool:
    """Tell whether *one* is above *other* however both are meant."""
    return one.low is not None and other.high is not None and one.low > other.high


_TOGETHER: tuple[tuple[str, str, Callable[[Any, Any], bool], str], ...] = (
    (
        "anatomy.gpu_count",
        "anatomy.multi_node",
        _nodes_without_gpus,
        "a job on one GPU cannot span nodes, and no job asks for more than one",
    ),
    ("anatomy.sequence_length", "anatomy.dataset_tokens", _more, "a sequence is longer than the whole data set"),
    ("anatomy.samples", "anatomy.dataset_tokens", _more, "there are more samples than tokens"),
)
"""What cannot be: two answers, the test, and why."""
