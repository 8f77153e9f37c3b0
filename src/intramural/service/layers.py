"""
What the layers of a stored base model are called, by the headers of its weights.

A header is the JSON before the tensors of a safetensors file; nothing else of the weights is opened here.
"""

from __future__ import annotations

import json
from typing import BinaryIO

from intramural.domain.value import Digest
from intramural.errors import IntegrityFailure
from intramural.service.context import Context

WEIGHTS = ".safetensors"
LONGEST_HEADER = 16 * 2**20
OUTPUT_HEAD = "lm_head"
"""It has no weights of its own in the files where it shares those of the embedding."""


def layer_names(ctx: Context, base_digest: Digest) -> set[str]:
    """Return the dotted names of the layers whose weights are matrices. Raises `IntegrityFailure`."""
    names = {OUTPUT_HEAD}
    for name, file in ctx.vault.tree(base_digest).files.items():
        if name.endswith(WEIGHTS):
            with ctx.vault.open(file.blob) as body:
                names |= _matrices(body, name)
    return names


def _matrices(body: BinaryIO, name: str) -> set[str]:
    try:
        tensors = json.loads(body.read(min(int.from_bytes(body.read(8), "little"), LONGEST_HEADER)))
        shapes = {key: len(each["shape"]) for key, each in tensors.items() if key != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise IntegrityFailure(f"The header of {name} cannot be read.", hint="Remove the model and add it again.") from None
    return {key.removesuffix(".weight") for key, dimensions in shapes.items() if key.endswith(".weight") and dimensions == 2}
