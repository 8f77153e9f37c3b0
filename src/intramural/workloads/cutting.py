"""
Examples cut to the sequence length: what is lost by it, and when nothing is left to learn.

The loss is on answer tokens, and answers come last; so what a cut takes first is what an
example teaches.
"""

from __future__ import annotations

from collections.abc import Sequence

from intramural.errors import InvalidInput
from intramural.workloads.passes import TokenExample


def check_answers(examples: Sequence[TokenExample]) -> None:
    """Raise `InvalidInput` where no example has a token that carries loss."""
    if not any(_teaches(each) for each in examples):
        raise InvalidInput("No training example has an answer to learn.", hint="Add data with assistant turns.")


def cut(examples: Sequence[TokenExample], length: int, context: int) -> tuple[list[TokenExample], str | None]:
    """
    Return *examples* cut at their end to *length* tokens, and what a person should know of it.

    Raises `InvalidInput` when the cut leaves no answer to learn. *context* is the longest length that the base takes.
    """
    short = [TokenExample(each.ids[:length], each.answer[:length]) for each in examples]
    longer = sum(len(each.ids) > length for each in examples)
    if not longer:
        return short, None
    needed = min(max(_last_answer(each) for each in examples), context)
    if not any(_teaches(each) for each in short):
        raise _nothing_left(length, needed, context)
    notice = f"{longer} of {len(examples)} examples are longer than {length} tokens and were cut at the end."
    lost = sum(_teaches(whole) and not _teaches(part) for whole, part in zip(examples, short, strict=True))
    if lost:
        notice += f" {lost} of them lost the whole answer and teach nothing."
        notice += f" train.sequence_length {needed} would keep it." if needed > length else ""
    return short, notice


def _nothing_left(length: int, needed: int, context: int) -> InvalidInput:
    if needed > length:
        return InvalidInput(
            f"train.sequence_length {length} cuts the whole answer off every training example.",
            hint=f"Set train.sequence_length to {needed} or more, or leave it at auto.",
        )
    return InvalidInput(
        f"The whole answer of every training example lies behind the {length} tokens of train.sequence_length.",
        hint=f"Shorten what stands before the answers, or choose a base with a longer context than {context} tokens.",
    )


def _teaches(example: TokenExample) -> bool:
    """Tell whether a token of *example* carries loss; nothing predicts the first."""
    return True in example.answer[1:]


def _last_answer(example: TokenExample) -> int:
    """Return the tokens up to the last one that carries loss."""
    return max((place for place, carries in enumerate(example.answer, 1) if carries), default=0)
