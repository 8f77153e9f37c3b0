"""Greedy answers in batches are those of Transformers' own generate."""

import random

import pytest

from intramural.workloads.decoder import Decoder
from intramural.workloads.generate import BATCH_PROMPTS, greedy, greedy_stock
from workload_models import VOCABULARY


def prompts(count):
    rng = random.Random(4)  # noqa: S311 - the same ones every time
    head = [rng.randrange(VOCABULARY) for _ in range(6)]
    made = [head + [rng.randrange(VOCABULARY) for _ in range(rng.randrange(1, 40))] for _ in range(count - 2)]
    return [*made, [5], head[:3]]


@pytest.mark.parametrize("kind", ["llama", "qwen2", "mistral"])
def test_answers_are_those_of_transformers(model_of, kind):
    model, _ = model_of(kind)
    asked = prompts(BATCH_PROMPTS + 7)
    endless = greedy(Decoder(model), asked, max_new_tokens=6, eos_ids=[])
    ends = {each[n % 6] for n, each in enumerate(endless[:12])}

    ours = greedy(Decoder(model), asked, max_new_tokens=6, eos_ids=sorted(ends))
    theirs = greedy_stock(model, asked, max_new_tokens=6, eos_ids=sorted(ends), pad_id=0)

    assert ours == theirs
    assert len({len(each) for each in ours}) > 2
    assert [each[: len(mine)] for each, mine in zip(endless, ours, strict=True)] == ours
    assert all(len(each) == 6 for each in endless)


def test_alone_or_among_others_an_answer_is_the_same(model_of):
    model, _ = model_of("llama")
    asked = prompts(9)

    together = greedy(Decoder(model), asked, max_new_tokens=5, eos_ids=[7])

    assert together == [greedy(Decoder(model), [each], max_new_tokens=5, eos_ids=[7])[0] for each in asked]


def test_no_prompt_no_answer(model_of):
    model, _ = model_of("llama")

    assert greedy(Decoder(model), [], max_new_tokens=5, eos_ids=[7]) == []


@pytest.mark.parametrize("stock", [False, True])
def test_progress_counts_every_answer_and_may_end_it(model_of, stock):
    model, _ = model_of("llama")
    seen = []

    def ask(on_progress):
        options = {"max_new_tokens": 4, "eos_ids": [7], "on_progress": on_progress}
        if stock:
            return greedy_stock(model, prompts(BATCH_PROMPTS + 3), pad_id=0, **options)
        return greedy(Decoder(model), prompts(BATCH_PROMPTS + 3), **options)

    ask(seen.append)

    assert seen == sorted(seen)
    assert seen[-1] == BATCH_PROMPTS + 3

    def stop(_done):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        ask(stop)
