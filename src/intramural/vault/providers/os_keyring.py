"""The keyring of the operating system or desktop as a shelf for keys: the extra `keyring`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from intramural.errors import InvalidInput, Unavailable
from intramural.vault.providers.local import ShelfKeys

SERVICE = "intramural"
NAME = "operating system's keyring"


class KeyringShelf:
    """Documents as passwords of the service `intramural`."""

    provider = "keyring"
    name = NAME

    def __init__(self) -> None:
        try:
            import keyring  # noqa: PLC0415 - an extra
            import keyring.errors  # noqa: PLC0415 - as above
        except ImportError:
            raise InvalidInput("The package keyring is not installed.", hint="pip install 'intramural[keyring]'") from None
        self._keyring, self._error = keyring, keyring.errors.KeyringError

    def read(self, name: str) -> bytes | None:
        """Return a password."""
        try:
            found = self._keyring.get_password(SERVICE, name)
        except self._error as error:
            raise self._away(error) from error
        return None if found is None else found.encode()

    def write(self, name: str, body: bytes) -> None:
        """Set a password."""
        try:
            self._keyring.set_password(SERVICE, name, body.decode())
        except self._error as error:
            raise self._away(error) from error

    def remove(self, name: str) -> None:
        """Delete a password."""
        if self.read(name) is None:
            return
        try:
            self._keyring.delete_password(SERVICE, name)
        except self._error as error:
            raise self._away(error) from error

    def where(self, name: str) -> str:
        """Name the entry."""
        return f"{SERVICE}/{name}"

    def held(self) -> AbstractContextManager[None]:
        """Do nothing: a keyring has no lock to offer."""
        return nullcontext()

    def _away(self, error: Exception) -> Unavailable:
        return Unavailable(f"The {NAME} does not answer ({type(error).__name__}).", hint="Unlock it, then try again.")


def keyring_keys(key: str, *, per_dataset: bool = True) -> ShelfKeys:
    """Return keys that the keyring keeps. Raises `InvalidInput` without the extra."""
    return ShelfKeys(KeyringShelf(), key, per_dataset=per_dataset)
