"""The face of a key provider, and what all of them share."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Protocol

from intramural.domain.keys import ProviderDescription, WrappedKey
from intramural.errors import IntegrityFailure, InvalidInput
from intramural.sealing import SealContext


class KeyProvider(Protocol):
    """Wraps keys with a key that it keeps. Everything raises `Unavailable`, with the provider's name, while it is away."""

    def wrap(self, secret: bytes, context: SealContext, own: str | None = None) -> WrappedKey:
        """Wrap *secret* for *context*; *own* asks for a key of that name for it alone, where the provider can."""

    def unwrap(self, wrapped: WrappedKey, context: SealContext) -> bytes:
        """Return the secret. Raises `IntegrityFailure` for another context, changed bytes, or a key that was destroyed.

        A provider that cannot tell a destroyed key from one that is away says `Unavailable`.
        """

    def rotate(self, key: str | None = None) -> str:
        """Make a new version of the customer's key, or of the own key *key*; return it. Older versions still unwrap."""

    def destroy(self, wrapped: WrappedKey) -> bool:
        """Destroy the own key that wraps *wrapped*; tell whether it is gone now. A shared key is never destroyed."""

    def own_key(self, own: str) -> str | None:
        """Return what the own key asked for as *own* is called; None for a provider that has none."""

    def describe(self) -> ProviderDescription:
        """Say where the key is and whether it can be used now; raises nothing."""


def does_not_unwrap(provider: str) -> IntegrityFailure:
    """Return the error of a wrapped key that does not open."""
    return IntegrityFailure(
        f"The {provider} does not open a wrapped key: it was destroyed, changed, or belongs elsewhere.",
        hint="Restore the key, or the database, from a backup of the same time.",
    )


def text(body: bytes) -> str:
    """Return bytes as base 64."""
    return b64encode(body).decode()


def body_of(wrapped: WrappedKey, provider: str) -> bytes:
    """Return the wrapped bytes. Raises `IntegrityFailure` where they were erased or torn."""
    try:
        body = b64decode(wrapped.body, validate=True)
    except ValueError:
        body = b""
    if not body:
        raise does_not_unwrap(provider)
    return body


def read_secret(path: Path, what: str) -> str:
    """Return the first line of a secret file. Raises `InvalidInput` when others may read it, or it cannot be read."""
    try:
        if path.stat().st_mode & 0o077:
            raise InvalidInput(f"{path} holds {what} and others may read it.", hint=f"chmod 600 {path}")
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {os.strerror(error.errno or 0)}.", hint="Set keys_secret_file to a file of yours."
        ) from error
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not text.", hint="Write the secret on one line in UTF-8.") from None
    if not secret:
        raise InvalidInput(f"{path} is empty.", hint=f"Write {what} into it, on one line.")
    return secret
