"""Which examples go into which step and pass, and how a pass is laid out."""

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intramural.workloads.passes import (
    MAX_STRETCH,
    Plan,
    TokenExample,
    batch_digest,
    lay_out,
    layout,
    shared_prefix,
    total_steps,
)

seeds = st.integers(0, 2**31 - 1)


@st.composite
def rows(draw, most=12, longest=60):
    """Examples with any ids and any answers, many of which begin alike."""
    head = draw(st.lists(st.integers(0, 5), max_size=20))
    made = []
    for _ in range(draw(st.integers(1, most))):
        ids = (head if draw(st.booleans()) else []) + draw(st.lists(st.integers(0, 5), min_size=1, max_size=longest))
        made.append(TokenExample(ids, draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids)))))
    return made


@given(st.integers(1, 200), st.integers(1, 40), seeds)
def test_every_epoch_takes_every_example_once(examples, batch, seed):
    per_epoch = math.ceil(examples / batch)
    plan = Plan(examples, 2 * per_epoch, batch, seed)

    epochs = [[plan.step_examples(epoch * per_epoch + n) for n in range(per_epoch)] for epoch in range(2)]

    for epoch in epochs:
        assert sorted(each for chosen in epoch for each in chosen) == list(range(examples))
        assert [len(chosen) for chosen in epoch[:-1]] == [batch] * (per_epoch - 1)


@given(st.integers(0, 50), seeds)
def test_a_step_does_not_depend_on_the_steps_asked_before(step, seed):
    walked = Plan(37, 100, 8, seed)
    for n in range(step):
        walked.step_examples(n)

    assert walked.step_examples(step) == Plan(37, 100, 8, seed).step_examples(step)


def test_seeds_and_epochs_differ():
    orders = [tuple(Plan(50, 9, 50, seed).step_examples(epoch)) for seed in (1, 2) for epoch in (0, 1)]

    assert len(set(orders)) == 4


@pytest.mark.parametrize(
    ("examples", "batch", "epochs", "steps", "expected"),
    [
        (800, 8, None, None, 100),
        (10, 8, 1.0, None, 2),
        (10, 8, 3.0, None, 6),
        (100, 10, 1.1, None, 11),
        (100, 10, 0.25, None, 3),
        (3, 8, 0.1, None, 1),
        (10, 8, None, 7, 7),
    ],
)
def test_the_number_of_steps(examples, batch, epochs, steps, expected):
    assert total_steps(examples, batch, epochs=epochs, steps=steps) == expected


def test_a_digest_names_ids_and_their_order():
    one, two, joined = (TokenExample(ids, [True] * len(ids)) for ids in ([1, 2], [3], [1, 2, 3]))

    digests = {batch_digest([one, two, joined], chosen) for chosen in ([0, 1], [1, 0], [2])}

    assert len(digests) == 3
    assert batch_digest([one, two], [0, 1]) == batch_digest([two, one], [1, 0])


@given(rows(), st.integers(1, 150), st.integers(1, 4), st.booleans())
def test_passes_hold_every_example_once_and_few_tokens(examples, pass_tokens, lanes, share):
    chosen = list(range(len(examples)))

    parts = lay_out(examples, chosen, pass_tokens=pass_tokens, lanes=lanes, share_prefix=share)

    assert sorted(each for part in parts for each in part.examples) == chosen
    for part in parts:
        assert part.tokens == sum(len(examples[each].ids) for each in part.examples)
        assert part.computed_tokens <= part.tokens
        assert part.tokens <= pass_tokens or len(part.examples) == 1
        assert part.prefix == 0 or (share and len(part.examples) > 1)
    assert len(parts) >= min(lanes, len(examples))


def test_lanes_get_like_loads():
    examples = [TokenExample([1] * length, [True] * length) for length in (90, 80, 70, 60, 50, 40, 30, 20)]

    loads = [part.tokens for part in lay_out(examples, range(8), pass_tokens=1000, lanes=2)]

    assert loads == [220, 220]


def test_one_long_example_does_not_part_the_others():
    examples = [TokenExample([1] * length, [True] * length) for length in (500, 10, 10, 10, 10)]

    parts = lay_out(examples, range(5), pass_tokens=100)

    assert [part.examples for part in parts if 0 in part.examples] == [(0,)]
    assert len(parts) <= 6 // 2


@given(rows(), st.integers(0, 80))
def test_the_shared_prefix_is_the_longest(examples, limit):
    ids = [each.ids for each in examples]

    prefix = shared_prefix(ids, limit)

    def is_shared(n):
        return len(ids) > 1 and n <= limit and all(len(each) >= n and each[:n] == ids[0][:n] for each in ids)

    assert prefix == max([n for n in range(90) if is_shared(n)], default=0)


@given(rows(), st.integers(1, 200))
def test_a_layout_is_its_examples_end_to_end(examples, pass_tokens):
    for part in lay_out(examples, range(len(examples)), pass_tokens=pass_tokens):
        laid = layout(examples, part)
        predicted = dict(zip(laid.predict.tolist(), laid.targets.tolist(), strict=True))
        head = laid.ids[: part.prefix].tolist()
        assert laid.positions[: part.prefix].tolist() == list(range(part.prefix))
        assert min(predicted, default=part.prefix) >= part.prefix
        expected = {}
        for index, start, length in zip(part.examples, laid.starts, laid.lengths, strict=True):
            example = examples[index]
            assert head + laid.ids[start : start + length].tolist() == example.ids
            assert laid.positions[start : start + length].tolist() == list(range(part.prefix, len(example.ids)))
            for n in range(1, len(example.ids)):
                if example.answer[n]:
                    expected[start + n - 1 - part.prefix] = example.ids[n]
        assert predicted == expected
        assert len(laid.predict) == len(predicted)


@given(rows(), st.integers(1, 200))
def test_attention_groups_cover_every_token_once_behind_its_own_past(examples, pass_tokens):
    for part in lay_out(examples, range(len(examples)), pass_tokens=pass_tokens):
        laid = layout(examples, part)
        covered = Counter()
        for group in laid.groups:
            covered.update(group.scatter.tolist())
            assert group.gather.reshape(-1)[group.keep].tolist() == group.scatter.tolist()
            for row in group.gather:
                own = [each for each in row.tolist() if each >= part.prefix]
                assert row.tolist()[: len(row) - len(own)] == list(range(len(row) - len(own)))
                assert all(a + 1 == b or a == b == own[-1] for a, b in pairwise(own))
            widths = [len(set(row.tolist())) for row in group.gather]
            assert max(widths) <= MAX_STRETCH * min(widths) + 8
        assert covered == Counter(range(len(laid.ids)))


@given(rows(), st.integers(1, 200), st.integers(2, 40))
def test_sizes_are_rounded_up_and_nothing_that_counts_looks_at_what_fills_them(examples, pass_tokens, round_to):
    for part in lay_out(examples, range(len(examples)), pass_tokens=pass_tokens):
        plain, rounded = layout(examples, part), layout(examples, part, round_to)
        tokens, answers = len(plain.ids), len(plain.targets)
        assert (len(rounded.ids) % round_to, len(rounded.predict) % round_to) == (0, 0)
        assert len(rounded.ids) - tokens < round_to
        assert rounded.ids[:tokens].tolist() == plain.ids.tolist()
        assert rounded.positions[:tokens].tolist() == plain.positions.tolist()
        assert (rounded.predict[:answers].tolist(), rounded.targets.tolist()) == (
            plain.predict.tolist(),
            plain.targets.tolist(),
        )
        assert max(rounded.predict, default=0) < tokens
        for own, group in zip(plain.groups, rounded.groups, strict=False):
            width = own.gather.shape[1]
            assert group.gather.shape[1] == width + -width % round_to
            assert group.gather[:, :width].tolist() == own.gather.tolist()
            assert group.gather.max() < tokens
            assert group.scatter.tolist() == own.scatter.tolist()
        places = [place for group in rounded.groups for place in group.scatter.tolist()]
        assert sorted(places) == list(range(len(rounded.ids)))
