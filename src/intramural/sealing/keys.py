"""
Scope keys: one per data set and one per job, each wraps the keys of the objects in its scope.

A scope key is held in clear by the process that needs it and by no disk. A run receives
its keyring through a pipe; `Keyring.encode` is what the pipe carries.
"""

from __future__ import annotations

import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field

from intramural.errors import IntegrityFailure, InvalidInput
from intramural.sealing.context import SealContext

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES
ID_BYTES = 32
"""The longest id of a key, as a container's header holds it."""


@dataclass(frozen=True)
class ScopeKey:
    """A key that wraps the keys of objects."""

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES or not self.id.isascii() or not 0 < len(self.id) <= ID_BYTES:
            raise InvalidInput("That is no scope key.", hint=f"A key has {KEY_BYTES} bytes and an id of at most {ID_BYTES}.")

    @classmethod
    def new(cls, key_id: str) -> ScopeKey:
        """Return a fresh random key."""
        return cls(key_id, secrets.token_bytes(KEY_BYTES))

    def wrap(self, object_key: bytes, salt: bytes, context: SealContext) -> bytes:
        """Return an object's key as its header keeps it."""
        from intramural.sealing.primitives import encrypted  # noqa: PLC0415 - the command line starts without a cipher

        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + encrypted(self.secret, nonce, object_key, salt + context.encoded())

    def unwrap(self, wrapped: bytes, salt: bytes, context: SealContext) -> bytes:
        """Return the object's key. Raises `IntegrityFailure` for another key or context, or a changed header."""
        from intramural.sealing.primitives import decrypted  # noqa: PLC0415 - as above

        found = decrypted(self.secret, wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], salt + context.encoded())
        if found is None:
            raise IntegrityFailure(
                "Sealed bytes do not open: they were changed, or belong elsewhere.", hint="Restore them from a backup."
            )
        return found


class Keyring:
    """The scope keys that a process holds, by id."""

    def __init__(self, keys: Iterable[ScopeKey] = ()) -> None:
        self._keys = {each.id: each for each in keys}

    def __repr__(self) -> str:
        return f"Keyring({', '.join(sorted(self._keys))})"

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, key_id: str) -> ScopeKey:
        """Return the key of that id. Raises `IntegrityFailure` when it is not here."""
        if key_id not in self._keys:
            raise IntegrityFailure(
                "Sealed bytes do not open: their key is not at hand.", hint="It was destroyed, or belongs to another project."
            )
        return self._keys[key_id]

    def __or__(self, other: Keyring) -> Keyring:
        return Keyring([*self._keys.values(), *other._keys.values()])

    def encode(self) -> bytes:
        """Return the keys as one line for a pipe. It holds them in clear: never a file, argument or variable."""
        return json.dumps({each.id: b64encode(each.secret).decode() for each in self._keys.values()}).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Keyring:
        """Return the keys of a line that `encode` wrote. Raises `IntegrityFailure` for a torn one."""
        try:
            return cls(ScopeKey(str(name), b64decode(secret, validate=True)) for name, secret in json.loads(line).items())
        except (ValueError, AttributeError, TypeError):
            raise IntegrityFailure("The keys of a run came torn.", hint="Start the run again.") from None
