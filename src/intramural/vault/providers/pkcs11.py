"""
A PKCS#11 token (a hardware module, a smart card, SoftHSM) wraps: the extra `pkcs11`.

Keys are AES-256, made in the token, sensitive and not extractable; AES-GCM with the
context as additional data. A key's versions are objects with one label and ids 1, 2, …
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from intramural.domain.keys import ProviderDescription, WrappedKey
from intramural.errors import IntramuralError, InvalidInput, Unavailable
from intramural.sealing import SealContext
from intramural.vault.providers.face import body_of, does_not_unwrap, read_secret, text

PROVIDER = "pkcs11"
NAME = "key provider PKCS#11"
NONCE_BYTES = 12
AES_BITS = 256


class Pkcs11Keys:
    """Keys in one token."""

    def __init__(self, address: str | None, key: str, pin: Path | None, *, per_dataset: bool = True) -> None:
        """*address* is `MODULE?token=LABEL`, such as `/usr/lib/softhsm/libsofthsm2.so?token=intramural`."""
        module, _, label = (address or "").partition("?token=")
        if not module or not label or pin is None:
            raise InvalidInput(
                "PKCS#11 needs a module, a token and a PIN.",
                hint="Set keys_address to MODULE?token=LABEL and keys_secret_file to a file with the PIN.",
            )
        self._module, self._token, self._key, self._pin, self._per_dataset = module, label, key, pin, per_dataset

    def wrap(self, secret: bytes, context: SealContext, own: str | None = None) -> WrappedKey:
        """Encrypt with the newest version; a key that is not there is made."""
        is_own = own is not None and self._per_dataset
        label = f"{self._key}-{own}" if own is not None and self._per_dataset else self._key
        with self._session() as (session, names):
            versions = self._versions(session, names, label)
            if not versions:
                versions = {1: self._generate(session, names, label, 1)}
            version = max(versions)
            nonce = secrets.token_bytes(NONCE_BYTES)
            sealed = versions[version].encrypt(
                secret, mechanism=names.Mechanism.AES_GCM, mechanism_param=names.GCMParams(nonce, aad=context.encoded())
            )
        return WrappedKey(provider=PROVIDER, key=label, version=str(version), body=text(nonce + sealed), own=is_own)

    def unwrap(self, wrapped: WrappedKey, context: SealContext) -> bytes:
        """Decrypt with the version that wrapped it."""
        body = body_of(wrapped, NAME)
        with self._session() as (session, names):
            found = self._versions(session, names, wrapped.key).get(int(wrapped.version))
            if found is None:
                raise does_not_unwrap(NAME)
            try:
                return bytes(
                    found.decrypt(
                        body[NONCE_BYTES:],
                        mechanism=names.Mechanism.AES_GCM,
                        mechanism_param=names.GCMParams(body[:NONCE_BYTES], aad=context.encoded()),
                    )
                )
            except names.PKCS11Error as error:
                if isinstance(error, names.GONE):
                    raise
                raise does_not_unwrap(NAME) from None

    def rotate(self, key: str | None = None) -> str:
        """Add a version."""
        with self._session() as (session, names):
            number = 1 + max(self._versions(session, names, key or self._key), default=0)
            self._generate(session, names, key or self._key, number)
        return str(number)

    def destroy(self, wrapped: WrappedKey) -> bool:
        """Destroy every version of an own key."""
        if not wrapped.own or wrapped.key == self._key:
            return False
        with self._session() as (session, names):
            for each in self._versions(session, names, wrapped.key).values():
                each.destroy()
            return not self._versions(session, names, wrapped.key)

    def own_key(self, own: str) -> str | None:
        """Return the name with the customer's key before it."""
        return f"{self._key}-{own}"

    def describe(self) -> ProviderDescription:
        """Say which token, and whether it opens."""
        version, problem = None, None
        try:
            with self._session() as (session, names):
                newest = max(self._versions(session, names, self._key), default=None)
                version = None if newest is None else str(newest)
        except IntramuralError as error:
            problem = error.message
        return ProviderDescription(
            provider=PROVIDER,
            key=self._key,
            version=version,
            where=f"token {self._token} of {self._module}",
            available=problem is None,
            problem=problem,
            own_keys=self._per_dataset,
        )

    @contextmanager
    def _session(self) -> Iterator[tuple[Any, Any]]:
        """Log in for the length of a block; what the token refuses becomes `Unavailable`."""
        names = _library()
        pin = read_secret(self._pin, "the PIN of the token")
        try:
            with names.lib(self._module).get_token(token_label=self._token).open(user_pin=pin, rw=True) as session:
                yield session, names
        except (names.PKCS11Error, RuntimeError, OSError) as error:
            raise Unavailable(
                f"The {NAME} does not open token {self._token} ({type(error).__name__}).",
                hint="Check the module, the token's label and the PIN.",
            ) from error

    def _versions(self, session: Any, names: Any, label: str) -> dict[int, Any]:
        wanted = {names.Attribute.CLASS: names.ObjectClass.SECRET_KEY, names.Attribute.LABEL: label}
        return {int.from_bytes(each.id, "big"): each for each in session.get_objects(wanted)}

    def _generate(self, session: Any, names: Any, label: str, number: int) -> Any:
        return session.generate_key(
            names.KeyType.AES,
            AES_BITS,
            label=label,
            id=number.to_bytes(4, "big"),
            store=True,
            template={names.Attribute.SENSITIVE: True, names.Attribute.EXTRACTABLE: False},
        )


def _library() -> Any:
    """Return the package's names in one place. Raises `InvalidInput` without the extra."""
    try:
        import pkcs11  # noqa: PLC0415 - an extra
        from pkcs11 import exceptions  # noqa: PLC0415 - as above
    except ImportError:
        raise InvalidInput("The package python-pkcs11 is not installed.", hint="pip install 'intramural[pkcs11]'") from None

    class Names:
        """What this module uses of the package."""

        lib = staticmethod(pkcs11.lib)
        Attribute, KeyType, Mechanism, ObjectClass = pkcs11.Attribute, pkcs11.KeyType, pkcs11.Mechanism, pkcs11.ObjectClass
        GCMParams = pkcs11.GCMParams
        PKCS11Error = exceptions.PKCS11Error
        GONE = (exceptions.DeviceRemoved, exceptions.TokenNotPresent, exceptions.SessionClosed)

    return Names
