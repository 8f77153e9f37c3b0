"""
Sealed bytes: a container that is opened with a key and in its place only, and the keys for it.

Pure: what is opened and where it lies, where keys are kept and who may ask for them, others know.
"""

from intramural.sealing.container import (
    SealedReader,
    SealingWriter,
    is_sealed,
    key_id_of,
    open_sealed,
    plain_size,
    seal,
    sealed_chunks,
    unseal,
)
from intramural.sealing.context import SealContext
from intramural.sealing.files import Files, PlainFiles, SealedFiles, Writer, written
from intramural.sealing.keys import Keyring, ScopeKey

__all__ = [
    "Files",
    "Keyring",
    "PlainFiles",
    "ScopeKey",
    "SealContext",
    "SealedFiles",
    "SealedReader",
    "SealingWriter",
    "Writer",
    "is_sealed",
    "key_id_of",
    "open_sealed",
    "plain_size",
    "seal",
    "sealed_chunks",
    "unseal",
    "written",
]
