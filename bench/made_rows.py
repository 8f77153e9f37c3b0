"""
Rows of documentation-like length for benchmarks: questions about Python's own standard library.

The docstrings of the running Python are rendered at run time, so nothing is copied into the
repository and everyone with the same Python gets the same rows. Their order comes from a
hash of their names, their lengths from a log-normal cut (mean about 230 tokens, long tail).
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path

MODULES = (
    "argparse asyncio base64 bisect collections configparser contextlib copy csv dataclasses datetime decimal difflib email "
    "enum fractions functools glob gzip hashlib heapq hmac html http.client http.server inspect io ipaddress itertools json "
    "logging lzma mailbox math multiprocessing operator os pathlib pickle platform pprint queue random re sched secrets select "
    "shelve shlex shutil signal smtplib socket sqlite3 ssl statistics string struct subprocess tarfile tempfile textwrap "
    "threading time tokenize traceback types typing unittest urllib.parse urllib.request uuid warnings weakref zipfile"
).split()
ASKS = ("What does `{}` do in Python?", "How do I use Python's `{}`?", "Explain `{}` from the standard library.")
SHORTEST = 300


def documents() -> Iterator[tuple[str, str]]:
    """Yield (name, text) of every documented callable, and of every module."""
    for name in MODULES:
        module = importlib.import_module(name)
        yield name, inspect.getdoc(module) or ""
        for key, value in sorted(vars(module).items()):
            if key.startswith("_") or not callable(value):
                continue
            yield f"{name}.{key}", inspect.getdoc(value) or ""
            if inspect.isclass(value):
                for inner, member in sorted(vars(value).items()):
                    if not inner.startswith("_") and callable(member):
                        yield f"{name}.{key}.{inner}", inspect.getdoc(member) or ""


def rows(count: int) -> list[dict[str, object]]:
    """Return *count* chat rows, the same ones in the same order every time."""
    unique = {text: name for name, text in documents() if len(text) >= SHORTEST}
    ordered = sorted(unique.items(), key=lambda each: hashlib.sha256(each[1].encode()).digest())
    made: list[dict[str, object]] = []
    for text, name in ordered[:count]:
        draw = random.Random(name)  # noqa: S311  lengths, not secrets
        limit = int(min(8000, max(250, math.exp(draw.gauss(7.5, 0.9)))))
        answer = text if len(text) <= limit else text[: text.rfind(" ", 0, limit)]
        ask = draw.choice(ASKS).format(name)
        made.append({"messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]})
    if len(made) < count:
        raise ValueError(f"only {len(made)} rows can be made")
    return made


def write(path: Path, count: int) -> None:
    """Write *count* rows as JSON lines."""
    path.write_text("".join(json.dumps(each) + "\n" for each in rows(count)), encoding="utf-8")
