"""
Support tickets of an invented energy supplier, made from a seed: a customer's message, and its queue and priority.

    {"messages": [system, user, {"role": "assistant", "content": '{"queue": "solar", "priority": "low"}'}]}

Rules that decide the answer, none of them a throw of dice:
the queue is that of the problem; of two problems the one called the main one, else the first;
a subject that is named as settled decides nothing. The priority is high or low where a
sentence says so, and normal otherwise; "not an emergency, but this week" is normal.

Nobody here exists. Names, e-mail addresses (example.com and its sisters, RFC 2606), telephone
numbers (Ofcom's ranges for drama), customer numbers (check digit by Luhn) and account numbers
(valid IBAN check digits, a bank code that is not given out) are planted for work on privacy.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from intramural.errors import InvalidInput
from intramural.intake import made_tickets_words as words

QUEUES = tuple(words.PROBLEMS)
PRIORITIES = ("low", "normal", "high")

_CUES = {"low": words.LOW, "normal": words.NORMAL, "high": words.HIGH}
_PRIORITY_WEIGHTS = (3, 4, 3)
_SETTLED_SHARE = 0.3
_TWO_PROBLEMS_SHARE = 0.04
_TRIES = 50


def make_tickets(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield *count* chat examples with distinct texts; the same *seed* gives the same ones.

    Raises `InvalidInput` when *count* is negative or more than the phrases give.
    """
    if count < 0:
        raise InvalidInput("The number of tickets is negative.", hint="Ask for one or more.")
    rng = random.Random(seed)  # noqa: S311  made data must be repeatable, not secret
    seen: set[str] = set()
    for _ in range(count):
        for _ in range(_TRIES):
            text, queue, priority = _ticket(rng)
            if text not in seen:
                break
        else:
            raise InvalidInput(f"The phrases give no more than {len(seen)} distinct tickets here.", hint="Ask for fewer.")
        seen.add(text)
        yield {
            "messages": [
                {"role": "system", "content": words.SYSTEM},
                {"role": "user", "content": text},
                {"role": "assistant", "content": json.dumps({"queue": queue, "priority": priority})},
            ]
        }


def write_tickets(path: Path, count: int, seed: int) -> None:
    """Write *count* tickets as JSON lines to *path*."""
    with path.open("wb") as file:
        for example in make_tickets(count, seed):
            file.write(orjson.dumps(example, option=orjson.OPT_APPEND_NEWLINE))


def _ticket(rng: random.Random) -> tuple[str, str, str]:
    """Return a message with its queue and its priority."""
    queue, other = rng.sample(QUEUES, 2)
    priority = rng.choices(PRIORITIES, _PRIORITY_WEIGHTS)[0]
    sentences = [_problem(rng, queue, other)]
    if rng.random() < _SETTLED_SHARE:
        settled = rng.choice(words.SETTLED)
        settled = settled.replace("{other}", rng.choice(words.SUBJECTS[other]))
        settled = settled.replace("{problem}", rng.choice(words.PROBLEMS[other]))
        sentences.insert(rng.randrange(2), settled)
    if priority != "normal" or rng.random() < 0.6:
        sentences.insert(rng.choice((0, len(sentences), len(sentences))), rng.choice(_CUES[priority]))
    spun = " ".join(_capital(_spun(rng, sentence)) for sentence in sentences)
    return _signed(rng, _noisy(rng, _filled(rng, spun))), queue, priority


def _problem(rng: random.Random, queue: str, other: str) -> str:
    """Return the sentence that decides the queue; a few name two problems."""
    stated = rng.choice(words.PROBLEMS[queue])
    if rng.random() < _TWO_PROBLEMS_SHARE:
        second = rng.choice(words.PROBLEMS[other])
        if rng.random() < 0.5:
            return f"two things: {stated}. Also, {second}."
        return f"a small matter: {second}. But the main thing: {stated}."
    return f"{rng.choice(words.LEADS)} {stated}".strip() + rng.choice((".", ".", ".", "!", "..."))


_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")


def _spun(rng: random.Random, text: str) -> str:
    """Take one of each `(a|b)`."""
    return re.sub(r" +(?=[ .,;]|$)", "", _CHOICE.sub(lambda found: rng.choice(found[1].split("|")), text)).strip()


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _filled(rng: random.Random, text: str) -> str:
    """Put a month, a day, a number and an amount in their places."""
    day = rng.randrange(1, 29)
    ending = "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    places = {
        "{m}": rng.choice(words.MONTHS),
        "{d}": f"{day}{ending}",
        "{n}": str(rng.randrange(1200, 9900)),
        "{e}": f"£{rng.randrange(6, 240)}",
    }
    for place, value in places.items():
        text = text.replace(place, value)
    return text


def _noisy(rng: random.Random, text: str) -> str:
    """Write some tickets as people write on a phone: a slip of a finger, no capitals, no full stop."""
    if rng.random() < 0.18:
        pieces = text.split(" ")
        for _ in range(rng.randrange(1, 3)):
            place = rng.randrange(len(pieces))
            if len(pieces[place]) > 4 and pieces[place].isalpha():
                pieces[place] = _slip(rng, pieces[place])
        text = " ".join(pieces)
    if rng.random() < 0.12:
        text = text.lower()
    return text.rstrip(".") if rng.random() < 0.1 else text


def _slip(rng: random.Random, word: str) -> str:
    at = rng.randrange(1, len(word) - 1)
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return rng.choice((swapped, word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]))


def _signed(rng: random.Random, text: str) -> str:
    """Add an opening, and plant personal data in about four of ten tickets."""
    if rng.random() < 0.25:
        text = f"{rng.choice(words.OPENINGS)} {text}"
    first, last = rng.choice(words.FIRST_NAMES), rng.choice(words.LAST_NAMES)
    if rng.random() < 0.12:
        text += f" My customer number is {customer_number(rng)}."
    if rng.random() < 0.05:
        text += f" Account: {account_number(rng)}."
    if rng.random() < 0.07:
        text += f" Call me on {_telephone(rng)}."
    if rng.random() < 0.07:
        text += f" Write to {first.lower()}.{last.lower()}@example.{rng.choice(('com', 'org', 'net'))}."
    if rng.random() < 0.3:
        text += (
            f" {rng.choice(words.CLOSINGS)}, {first} {last}"
            if rng.random() < 0.6
            else f" {rng.choice(words.CLOSINGS)}, {first}"
        )
    return text


def customer_number(rng: random.Random) -> str:
    """Return `TB-` and seven digits, the last by Luhn's rule (ISO/IEC 7812-1, annex B)."""
    digits = [rng.randrange(10) for _ in range(6)]
    doubled = [digit * 2 if place % 2 else digit for place, digit in enumerate(digits)]
    total = sum(digit - 9 if digit > 9 else digit for digit in doubled)
    return f"TB-{''.join(map(str, digits))}{-total % 10}"


def account_number(rng: random.Random) -> str:
    """Return a German IBAN with valid check digits (ISO 13616, modulo 97) at a bank code that no bank has."""
    account = f"9{rng.randrange(10**7):07d}{rng.randrange(10**10):010d}"
    check = 98 - int(account + "131400") % 97
    return f"DE{check:02d}{account}"


def _telephone(rng: random.Random) -> str:
    """Return a number of a range that Ofcom keeps free for drama."""
    last = f"{rng.randrange(1000):03d}"
    return rng.choice((f"07700 900{last}", f"01632 960{last}", f"+44 7700 900{last}"))
