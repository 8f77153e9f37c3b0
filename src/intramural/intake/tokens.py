"""
Examples as tokens of one base model, and which of them are answer.

The whole conversation is rendered once and tokenised once, as `apply_chat_template`
does. Tokens are told apart by where their characters lie in the text, never by their
ids: where the pad token is also the end of a turn, an id says nothing.

Neither torch nor Transformers is imported: the control plane counts tokens with this
module, and the training process trains on what it returns.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Encoding, Tokenizer, processors

from intramural.domain.dataset import TokenStatistics
from intramural.errors import InvalidInput
from intramural.intake.chat_template import FALLBACK, ChatTemplate, read_json, special_tokens
from intramural.intake.stored import PLAIN, read_examples
from intramural.sealing import Files

__all__ = ["Encoded", "Encoder", "answer_text", "conversation", "prompt_messages", "read_examples", "statistics"]

TOKENIZER_FILE = "tokenizer.json"
BATCH_EXAMPLES = 256

Span = tuple[int, int]


class Encoded(NamedTuple):
    """One example as tokens."""

    ids: list[int]
    answer: list[bool]
    """Which tokens carry loss: what the assistant says, its end-of-turn token and what the template writes after it."""


def conversation(example: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the turns of *example*; of a preference, those of the preferred answer; of a judged answer, it."""
    whole: list[dict[str, Any]] | None = example.get("messages") or example.get("text")
    if whole is not None:
        return whole
    answer = next(example[name] for name in ("preferred", "desirable", "undesirable") if name in example)
    return [*example["input"], *answer]


def prompt_messages(example: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the turns before the final answer."""
    return conversation(example)[:-1]


def answer_text(example: dict[str, Any]) -> str:
    """Return what the assistant says last, the reference for an evaluation."""
    return str(conversation(example)[-1]["content"])


class Encoder:
    """The tokenizer and the chat template of one model folder."""

    vocabulary_size: int
    eos_ids: tuple[int, ...]
    """Each ends a generation: the tokenizer's own and those of `generation_config.json`."""
    pad_id: int
    """Fills a batch; often equal to an end of turn, so never mask by it."""
    has_template: bool
    """Whether the model brought its own; else `chat_template.FALLBACK` is used."""

    def __init__(self, model_folder: Path, now: datetime | None = None) -> None:
        """Read *model_folder*; *now* is the date that a template may write, the same one at every resume."""
        self._tokenizer = _tokenizer(model_folder)
        tokens = special_tokens(model_folder)
        template = ChatTemplate.of_model(model_folder, now)
        self.has_template = template is not None
        self.template = template or self._fallback(tokens)
        self.vocabulary_size = self._tokenizer.get_vocab_size(with_added_tokens=True)
        self.eos_ids = self._eos_ids(model_folder, tokens)
        self._end = tokens.get("eos_token", "")
        pad = self._tokenizer.token_to_id(tokens["pad_token"]) if "pad_token" in tokens else None
        self.pad_id = pad if pad is not None else (self.eos_ids[0] if self.eos_ids else 0)
        # Only trims the offsets of tokens that begin with a space, and adds tokens that a template writes itself.
        self._tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)

    def _fallback(self, tokens: dict[str, str]) -> ChatTemplate:
        """Return the plain template, with a beginning-of-sequence token where the tokenizer itself would add one."""
        first = self._tokenizer.encode("", add_special_tokens=True).tokens[:1]
        bos = tokens.get("bos_token", "")
        return ChatTemplate(
            FALLBACK, tokens | {"bos_token": bos if first == [bos] else "", "eos_token": tokens.get("eos_token", "")}
        )

    def _eos_ids(self, model_folder: Path, tokens: dict[str, str]) -> tuple[int, ...]:
        found = [self._tokenizer.token_to_id(tokens["eos_token"])] if "eos_token" in tokens else []
        for name in ("generation_config.json", "config.json"):
            given = read_json(model_folder / name).get("eos_token_id")
            found += given if isinstance(given, list) else [given]
        return tuple(dict.fromkeys(each for each in found if type(each) is int))

    def encode_example(self, example: dict[str, Any], max_tokens: int | None = None) -> Encoded:
        """Return *example* as tokens, cut at the end after *max_tokens*; raise `InvalidInput` as `encode_batch`."""
        return self.encode_batch([example], max_tokens)[0]

    def encode_batch(self, examples: Sequence[dict[str, Any]], max_tokens: int | None = None) -> list[Encoded]:
        """Return *examples* as tokens, using the tokenizer's threads (`TOKENIZERS_PARALLELISM`).

        A cut may leave no answer token. Raises `InvalidInput` when the template refuses an example, or
        rewrites the text before the answer so that the answer's place is unknown.
        """
        encoded: list[Encoded] = []
        for batch in _batches(examples):  # an encoding is large; only what is kept of it may pile up
            rendered = [self._rendered(conversation(each)) for each in batch]
            encodings = self._tokenizer.encode_batch([text for text, _ in rendered], add_special_tokens=False)
            encoded += [_masked(encoding, spans, max_tokens) for encoding, (_, spans) in zip(encodings, rendered, strict=True)]
        return encoded

    def encode_prompt(self, messages: Sequence[dict[str, Any]]) -> list[int]:
        """Return *messages* and the template's opening of an answer as tokens."""
        return self.encode_prompts([messages])[0]

    def encode_prompts(self, prompts: Sequence[Sequence[dict[str, Any]]]) -> list[list[int]]:
        """Return every list of messages as `encode_prompt` does."""
        texts = [self.template.render(each, add_generation_prompt=True) for each in prompts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch(texts, add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of *ids* without special tokens."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def _rendered(self, messages: list[dict[str, Any]]) -> tuple[str, list[Span]]:
        """Return the text of *messages* and the spans of its characters that carry loss; of plain text, all of it."""
        if messages[0]["role"] == "text":
            text = f"{messages[0]['content']}{self._end}"
            return text, [(0, len(text))]
        text = self.template.render(messages)
        wanted = [n for n, turn in enumerate(messages) if turn["role"] == "assistant" and turn.get("weight") != 0]
        spans = [self._span(messages, place, text) for place in wanted]
        if None not in spans:
            return text, [span for span in spans if span]
        last = spans[-1]
        if last is None or wanted[-1] != len(messages) - 1:
            raise InvalidInput(
                "The chat template rewrites the text before the answer, so the answer's place is unknown.",
                hint="Use a template whose generation prompt is how it writes an assistant turn.",
                turns=len(messages),
            )
        return text, [last]

    def _span(self, messages: list[dict[str, Any]], place: int, text: str) -> Span | None:
        """Return where the turn at *place* lies in *text*, or None when the text does not begin as the prompt does."""
        try:
            prompt = self.template.render(messages[:place], add_generation_prompt=True)
            until = text if place == len(messages) - 1 else self.template.render(messages[: place + 1])
        except InvalidInput:
            return None
        if text.startswith(prompt) and text.startswith(until) and len(prompt) <= len(until):
            return len(prompt), len(until)
        return None


def _tokenizer(model_folder: Path) -> Tokenizer:
    path = model_folder / TOKENIZER_FILE
    if not path.is_file():
        raise InvalidInput(f"The model has no {TOKENIZER_FILE}.", hint="Save it with a fast tokenizer, then add it again.")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception:  # the library raises bare exceptions
        raise InvalidInput(f"{TOKENIZER_FILE} of the model is broken.", hint="Add the model again from its source.") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _masked(encoding: Encoding, spans: list[Span], max_tokens: int | None) -> Encoded:
    """Mark every token with a character in one of *spans*."""
    offsets = encoding.offsets
    starts = [start for start, _ in offsets]
    answer = [False] * len(starts)
    for begin, end in spans:
        first, after = bisect_left(starts, begin), bisect_left(starts, end)
        while first and offsets[first - 1][1] > begin:
            first -= 1
        answer[first:after] = [True] * (after - first)
    return Encoded(encoding.ids[:max_tokens], answer[:max_tokens])


def statistics(train_path: Path, model_folder: Path, model_name: str, files: Files = PLAIN) -> TokenStatistics:
    """Count the tokens of a stored file's examples in a model's vocabulary, in a stream.

    Of a preference example the preferred conversation is counted. Percentiles are by linear interpolation.
    """
    encoder = Encoder(model_folder)
    lengths = array("I")
    answers = 0
    for batch in _batches(read_examples(train_path, files)):
        for ids, answer in encoder.encode_batch(batch):
            lengths.append(len(ids))
            answers += sum(answer)
    return _summary(lengths, answers, model_name)


def _batches(examples: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    iterator = iter(examples)
    while batch := list(islice(iterator, BATCH_EXAMPLES)):
        yield batch


def _summary(lengths: array[int], answers: int, model_name: str) -> TokenStatistics:
    import numpy as np  # noqa: PLC0415  the control plane starts without it

    if not lengths:
        raise InvalidInput("There is no example to count tokens of.", hint="Add a data set with training examples.")
    counted = np.frombuffer(lengths, dtype=np.uint32)
    p50, p95 = np.percentile(counted, (50, 95))
    edges = histogram_edges(int(counted.max()))
    places = np.searchsorted(edges, counted)
    return TokenStatistics(
        model=model_name,
        examples=counted.size,
        total=int(counted.sum()),
        answer_total=answers,
        mean=float(counted.mean()),
        p50=float(p50),
        p95=float(p95),
        longest=int(counted.max()),
        histogram_edges=edges,
        histogram=tuple(np.bincount(places, minlength=len(edges)).tolist()),
    )


def histogram_edges(longest: int) -> tuple[int, ...]:
    """Return upper edges, inclusive, two to a doubling: 16, 24, 32, 48, 64 … until *longest* fits."""
    edges = [16]
    while edges[-1] < longest:
        power = 1 << (edges[-1].bit_length() - 1)
        edges.append(power + power // 2 if edges[-1] == power else 2 * power)
    return tuple(edges)
