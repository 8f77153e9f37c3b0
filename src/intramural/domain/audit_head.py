"""
Signed heads: how many entries the trail had and their root, signed with Ed25519.

A head is a note in the form that transparency logs use (C2SP *signed note* and *tlog
checkpoint*), so that their tools read it:

    intramural/4f0c…            who signs which trail
    1204                        how many entries
    qhLZ…=                      the root, base64

    — intramural/4f0c… base64(first 4 bytes of the key's hash, signature)

A public key is one line, `NAME+HASH+BASE64`, a private one `PRIVATE+KEY+NAME+HASH+BASE64`.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from intramural.domain.audit_tree import Tree
from intramural.errors import IntegrityFailure, InvalidInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ED25519 = b"\1"
PRIVATE = "PRIVATE+KEY+"
KEY_BYTES = 32


@dataclass(frozen=True)
class TrailHead:
    """Where the trail ends: what the next entry is chained to."""

    size: int = 0
    last_at: int = 0
    """When the last entry was written, in microseconds since 1970."""
    leaf: bytes = bytes(KEY_BYTES)
    """The last entry's leaf hash; zeros before the first."""
    frontier: bytes = b""
    note: str | None = None
    """The newest signed head."""
    tree: Tree = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tree", Tree(self.size, self.frontier))


class HeadSigner(Protocol):
    """Signs the head of a trail that grew from what it signed before."""

    def sign(self, before: TrailHead, size: int, root: bytes) -> str | None:
        """Return the note over *size* and *root*; None when *before* is not what was signed last."""


@dataclass(frozen=True)
class PublicKey:
    """Who signs a trail, for everybody to check."""

    name: str
    raw: bytes

    @classmethod
    def read(cls, line: str) -> PublicKey:
        """Read `NAME+HASH+BASE64`. Raises `InvalidInput`."""
        try:
            name, hashed, coded = line.strip().split("+", 2)
            raw = base64.b64decode(coded, validate=True)
        except (ValueError, binascii.Error):
            raw, name, hashed = b"", "", ""
        key = cls(name, raw[1:])
        if len(raw) != 1 + KEY_BYTES or raw[:1] != ED25519 or hashed != key.hash.hex():
            raise InvalidInput("That is not the public key of an audit trail.", hint="It is the line in keys/audit.pub.")
        return key

    @property
    def hash(self) -> bytes:
        """Return the four bytes that name the key in a note."""
        return key_hash(self.name, self.raw)

    def line(self) -> str:
        """Return the key as one line of text."""
        return f"{self.name}+{self.hash.hex()}+{base64.b64encode(ED25519 + self.raw).decode()}"

    def pem(self) -> bytes:
        """Return the key as other tools read it."""
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - keeps the command line's start fast
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - as above

        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return Ed25519PublicKey.from_public_bytes(self.raw).public_bytes(serialization.Encoding.PEM, form)

    def verify(self, note: str) -> tuple[int, bytes]:
        """Return size and root of a signed head. Raises `IntegrityFailure`."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - keeps the command line's start fast
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - as above

        try:
            text, signature = _parts(note, self)
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, text.encode())
            return read_head(text)
        except (ValueError, InvalidSignature):
            raise IntegrityFailure(
                "A head of the trail is not signed by this key.", hint="Was the head changed, or is the key another's?"
            ) from None


def key_hash(name: str, raw: bytes) -> bytes:
    """Return the four bytes that name a key in a note."""
    return sha256(name.encode() + b"\n" + ED25519 + raw).digest()[:4]


def head_text(name: str, size: int, root: bytes) -> str:
    """Return what is signed."""
    return f"{name}\n{size}\n{base64.b64encode(root).decode()}\n"


def read_head(text: str) -> tuple[int, bytes]:
    """Return size and root of a head's text or note. Raises `ValueError`."""
    _, size, root, *_ = text.split("\n")
    return int(size), base64.b64decode(root, validate=True)


def _parts(note: str, key: PublicKey) -> tuple[str, bytes]:
    """Return the text and the key's signature. Raises `ValueError`."""
    text, _, lines = note.partition("\n\n")
    for line in lines.splitlines():
        if line.startswith(f"— {key.name} "):
            coded = base64.b64decode(line.rpartition(" ")[2], validate=True)
            if coded[:4] == key.hash:
                return text + "\n", coded[4:]
    raise ValueError("no signature of that key")


class SigningKey:
    """The private key of one trail."""

    def __init__(self, name: str, seed: bytes) -> None:
        self.name = name
        self._seed = seed
        self._loaded: Ed25519PrivateKey | None = None
        self._hash: bytes | None = None

    @classmethod
    def made_from(cls, seed: bytes) -> SigningKey:
        """Return the key of *seed*, 32 random bytes; its name is derived from it."""
        key = cls("", seed)
        return cls(f"intramural/{sha256(key._private().public_key().public_bytes_raw()).hexdigest()[:16]}", seed)

    @classmethod
    def read(cls, line: str) -> SigningKey:
        """Read `PRIVATE+KEY+NAME+HASH+BASE64`. Raises `InvalidInput`."""
        name, _, rest = line.strip().removeprefix(PRIVATE).partition("+")
        try:
            raw = base64.b64decode(rest.partition("+")[2], validate=True)
        except binascii.Error:
            raw = b""
        if not line.startswith(PRIVATE) or len(raw) != 1 + KEY_BYTES or raw[:1] != ED25519:
            raise InvalidInput("The signing key of the audit trail is damaged.", hint="Restore keys/audit.key from a backup.")
        return cls(name, raw[1:])

    def line(self) -> str:
        """Return the key as one line of text, to be kept secret."""
        return f"{PRIVATE}{self.name}+{self.public().hash.hex()}+{base64.b64encode(ED25519 + self._seed).decode()}"

    def public(self) -> PublicKey:
        """Return the public half."""
        return PublicKey(self.name, self._private().public_key().public_bytes_raw())

    def note(self, size: int, root: bytes) -> str:
        """Return the signed head; the same for the same head, every time."""
        text = head_text(self.name, size, root)
        if self._hash is None:
            self._hash = self.public().hash
        signature = base64.b64encode(self._hash + self._private().sign(text.encode())).decode()
        return f"{text}\n— {self.name} {signature}\n"

    def signature(self, content: bytes) -> bytes:
        """Return the signature of *content*."""
        return self._private().sign(content)

    def _private(self) -> Ed25519PrivateKey:
        if self._loaded is None:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - keeps the command line's start fast
                Ed25519PrivateKey,
            )

            self._loaded = Ed25519PrivateKey.from_private_bytes(self._seed)
        return self._loaded
