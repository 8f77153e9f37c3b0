"""The made tickets: repeatable, distinct, learnable but not by words alone, with planted personal data."""

import json
import random
import re
from itertools import islice

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from intramural.errors import InvalidInput
from intramural.intake.made_tickets import PRIORITIES, QUEUES, account_number, customer_number, make_tickets


@pytest.fixture(scope="module")
def tickets():
    return list(make_tickets(3000, seed=7))


def chances():
    return (random.Random(seed) for seed in range(200))  # noqa: S311  made data, not secrets


def message(ticket):
    return ticket["messages"][1]["content"]


def answer(ticket):
    return json.loads(ticket["messages"][2]["content"])


def test_a_seed_repeats_its_tickets_and_another_gives_others(tickets):
    assert list(islice(make_tickets(3000, seed=7), 50)) == tickets[:50]
    assert list(make_tickets(50, seed=8)) != tickets[:50]


def test_a_shorter_set_is_the_beginning_of_a_longer_one(tickets):
    assert list(make_tickets(100, seed=7)) == tickets[:100]


def test_texts_are_distinct_and_short(tickets):
    words = sorted(len(message(ticket).split()) for ticket in tickets)

    assert len({message(ticket) for ticket in tickets}) == len(tickets)
    assert 12 <= words[len(words) // 2] <= 35
    assert words[-1] < 90


def test_nothing_of_the_phrase_notation_is_left(tickets):
    assert not [message(t) for t in tickets if re.search(r"[{}|()]| [.,]|  ", message(t))]


def test_every_queue_and_priority_has_its_share(tickets):
    for field, values in (("queue", QUEUES), ("priority", PRIORITIES)):
        for value in values:
            share = sum(answer(ticket)[field] == value for ticket in tickets) / len(tickets)
            assert 0.5 < share * len(values) < 1.5, value


def test_the_system_turn_lists_no_answer(tickets):
    system = tickets[0]["messages"][0]["content"]

    assert not [name for name in (*QUEUES, *PRIORITIES) if name in system]


def test_personal_data_is_planted(tickets):
    text = "\n".join(map(message, tickets))

    for pattern in (
        r"[a-z]+\.[a-z]+@example\.(com|org|net)",
        r"\bDE\d{20}\b",
        r"\bTB-\d{7}\b",
        r"07700 900\d{3}",
        r"01632 960\d{3}",
    ):
        assert len(re.findall(pattern, text)) > 20, pattern


def test_account_numbers_have_valid_check_digits_at_no_bank():
    for number in map(account_number, chances()):
        moved = number[4:] + "1314" + number[2:4]
        assert (len(number), int(moved) % 97, number[4]) == (22, 1, "9")


def test_customer_numbers_satisfy_luhn():
    for number in map(customer_number, chances()):
        digits = [int(each) for each in number.removeprefix("TB-")][::-1]
        doubled = [digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(digits)]
        assert sum(doubled) % 10 == 0, number


def test_words_alone_tell_most_queues_but_not_all(tickets):
    """A bag of words scores well above chance and visibly below a reader."""
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10, max_iter=300))
    model.fit([message(t) for t in tickets[:1000]], [answer(t)["queue"] for t in tickets[:1000]])
    score = model.score([message(t) for t in tickets[-1000:]], [answer(t)["queue"] for t in tickets[-1000:]])

    assert 0.7 < score < 0.95


def test_a_negative_number_is_refused():
    with pytest.raises(InvalidInput):
        next(make_tickets(-1, seed=1))
