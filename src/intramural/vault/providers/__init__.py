"""
Key providers: who holds the customer's key that wraps the scope keys.

A provider never hands out its key; it wraps and unwraps 32 bytes. All keep the same
contract, and the same tests try it on each of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from intramural.domain.value import Value
from intramural.vault.providers.face import KeyProvider

__all__ = ["KeyChoice", "KeyProvider", "ProviderName", "open_provider"]

ProviderName = Literal["local", "keyring", "openbao", "aws", "gcp", "pkcs11"]


class KeyChoice(Value):
    """Which provider, and what it needs to know."""

    folder: Path
    """Where the local provider keeps its files."""
    provider: ProviderName = "local"
    key: str | None = None
    """The provider's name of the customer's key; each has a default of its own."""
    address: str | None = None
    """A URL, a region or the path of a PKCS#11 module."""
    secret_file: Path | None = None
    """A file with the passphrase, the API credential or the PIN."""
    per_dataset: bool = True
    """Give every data set a provider key of its own, where the provider can destroy one at once."""


def open_provider(choice: KeyChoice) -> KeyProvider:
    """Return the provider; it is asked for nothing yet. Raises `InvalidInput` for a choice that lacks something."""
    match choice.provider:
        case "local":
            from intramural.vault.providers.local import LocalKeys  # noqa: PLC0415 - the others would load for nothing

            return LocalKeys(choice.folder, choice.key or "main", choice.secret_file, per_dataset=choice.per_dataset)
        case "keyring":
            from intramural.vault.providers.os_keyring import keyring_keys  # noqa: PLC0415 - as above

            return keyring_keys(choice.key or "main", per_dataset=choice.per_dataset)
        case "openbao":
            from intramural.vault.providers.transit import TransitKeys  # noqa: PLC0415 - as above

            return TransitKeys(choice.address, choice.key or "intramural", choice.secret_file, per_dataset=choice.per_dataset)
        case "aws":
            from intramural.vault.providers.aws import AwsKeys  # noqa: PLC0415 - as above

            return AwsKeys(choice.key, choice.address)
        case "gcp":
            from intramural.vault.providers.gcp import GcpKeys  # noqa: PLC0415 - as above

            return GcpKeys(choice.key)
        case "pkcs11":
            from intramural.vault.providers.pkcs11 import Pkcs11Keys  # noqa: PLC0415 - as above

            return Pkcs11Keys(choice.address, choice.key or "intramural", choice.secret_file, per_dataset=choice.per_dataset)
