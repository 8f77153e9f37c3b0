"""A base model: weights, tokenizer and chat template, as immutable files by digest."""

from __future__ import annotations

from intramural.domain.value import Digest, Instant, Name, Value


class BaseModelVersion(Value):
    """A base model that was checked and stored."""

    name: Name
    digest: Digest
    """Of the folder: the manifest of its files."""
    source: str
    """`folder`, `hub:ORG/NAME@REVISION`, `starter:PACKAGE==VERSION` or `random`."""
    architecture: str
    """The class Transformers would load, `LlamaForCausalLM`."""
    parameters: int
    context_tokens: int
    """The longest sequence its positions allow."""
    weights_dtype: str
    size_bytes: int
    licence: str | None
    chat_template: bool
    added_at: Instant
