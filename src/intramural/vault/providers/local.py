"""
The local provider: keys in files of this machine, for one user alone, optionally under a passphrase.

    KEYS/main.key        the customer's key: its versions, made on first use
    KEYS/key-….key       the own key of one data set; shredding removes the file

The folder is the secret: whoever has it and the database opens everything. Keep a copy
of it apart from the backups of the database.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from intramural.domain.keys import ProviderDescription, WrappedKey
from intramural.errors import IntramuralError, InvalidInput, Unavailable
from intramural.sealing import SealContext
from intramural.vault.blobs import disk_errors
from intramural.vault.providers.face import body_of, does_not_unwrap, read_secret, text

NAME = "local key file"
FORMAT = 1
NONCE_BYTES = 12
SCRYPT = {"n": 1 << 15, "r": 8, "p": 1}
"""About 0.1 s and 32 MB: the passphrase is tried once per process."""


class KeyShelf(Protocol):
    """Keeps small secret documents by name."""

    provider: str
    name: str
    """For messages."""

    def read(self, name: str) -> bytes | None:
        """Return a document, or None where there is none."""

    def write(self, name: str, body: bytes) -> None:
        """Keep a document, whole or not at all."""

    def remove(self, name: str) -> None:
        """Forget a document; it must not be readable any more."""

    def where(self, name: str) -> str:
        """Say where a document is."""

    def held(self) -> Any:
        """Return a block in which nobody else writes."""


class FolderShelf:
    """Documents as files 0600 in a folder 0700."""

    provider = "local"
    name = NAME

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        """Return a file. Raises `InvalidInput` when others may read it."""
        path = self._path(name)
        try:
            with open(path, "rb") as file:
                if os.fstat(file.fileno()).st_mode & 0o077:
                    raise InvalidInput(f"The key file {path} may be read by others.", hint=f"chmod 600 {path}")
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(
                f"The {NAME} {path} cannot be read: {os.strerror(error.errno or 0)}.", hint="Check the file and its rights."
            ) from error

    def write(self, name: str, body: bytes) -> None:
        """Write beside, flush, rename."""
        path = self._path(name)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            with disk_errors(f"The {NAME}"):
                with open(beside, "xb", opener=_private) as file:
                    file.write(body)
                    file.flush()
                    os.fsync(file.fileno())
                beside.rename(path)
                self._sync()
        finally:
            beside.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Overwrite the file where it lies, then unlink it."""
        path = self._path(name)
        with disk_errors(f"The {NAME}"):
            try:
                with open(path, "r+b") as file:
                    file.write(secrets.token_bytes(os.fstat(file.fileno()).st_size))
                    file.flush()
                    os.fsync(file.fileno())
            except FileNotFoundError:
                return
            path.unlink(missing_ok=True)
            self._sync()

    def where(self, name: str) -> str:
        """Return the file's path."""
        return str(self._path(name))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder against the other processes of this machine."""
        with disk_errors(f"The {NAME}"):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _sync(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.key"


class ShelfKeys:
    """Keys with versions, as documents on a shelf."""

    def __init__(self, shelf: KeyShelf, key: str, passphrase: Path | None = None, *, per_dataset: bool = True) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", key):
            raise InvalidInput(f"{key} is no name of a key.", hint="Use letters, digits, `-` and `_`.")
        self._shelf, self._key, self._passphrase_file, self._per_dataset = shelf, key, passphrase, per_dataset
        self._derived: dict[bytes, bytes] = {}

    def wrap(self, secret: bytes, context: SealContext, own: str | None = None) -> WrappedKey:
        """Wrap with the newest version; a key that is not there is made."""
        is_own = own is not None and self._per_dataset
        key = own if own is not None and self._per_dataset else self._key
        versions = self._versions(key)
        if not versions:
            with self._shelf.held():
                versions = self._versions(key) or self._add_version(key, {})
        version = _newest(versions)
        nonce = secrets.token_bytes(NONCE_BYTES)
        body = nonce + AESGCM(versions[version]).encrypt(nonce, secret, context.encoded())
        return WrappedKey(provider=self._shelf.provider, key=key, version=version, body=text(body), own=is_own)

    def unwrap(self, wrapped: WrappedKey, context: SealContext) -> bytes:
        """Open with the version that wrapped it."""
        versions = self._versions(wrapped.key)
        if not versions:
            raise Unavailable(
                f"The {self._shelf.name} {self._shelf.where(wrapped.key)} is not there.",
                hint="Put the key back; without it nothing that it wraps opens.",
            )
        if wrapped.version not in versions:
            raise does_not_unwrap(self._shelf.name)
        body = body_of(wrapped, self._shelf.name)
        try:
            return AESGCM(versions[wrapped.version]).decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], context.encoded())
        except (InvalidTag, ValueError):
            raise does_not_unwrap(self._shelf.name) from None

    def rotate(self, key: str | None = None) -> str:
        """Add a version."""
        with self._shelf.held():
            return _newest(self._add_version(key or self._key, self._versions(key or self._key)))

    def destroy(self, wrapped: WrappedKey) -> bool:
        """Remove an own key."""
        if not wrapped.own or wrapped.key == self._key:
            return False
        with self._shelf.held():
            self._shelf.remove(wrapped.key)
        return self._shelf.read(wrapped.key) is None

    def own_key(self, own: str) -> str | None:
        """Return the name that was asked for."""
        return own

    def describe(self) -> ProviderDescription:
        """Say which file, and whether it opens."""
        version, problem = None, None
        try:
            versions = self._versions(self._key)
            version = _newest(versions) if versions else None
        except IntramuralError as error:
            problem = error.message
        return ProviderDescription(
            provider=self._shelf.provider,
            key=self._key,
            version=version,
            where=self._shelf.where(self._key),
            available=problem is None,
            problem=problem,
            own_keys=self._per_dataset,
        )

    def _versions(self, key: str) -> dict[str, bytes]:
        body = self._shelf.read(key)
        if body is None:
            return {}
        try:
            document = json.loads(body)
            if "scrypt" in document:
                document = self._opened(key, document)
            return {str(name): b64decode(secret, validate=True) for name, secret in document["versions"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Unavailable(
                f"The {self._shelf.name} {self._shelf.where(key)} is damaged.", hint="Put a copy of the key back."
            ) from None

    def _add_version(self, key: str, versions: dict[str, bytes]) -> dict[str, bytes]:
        """Write *versions* and a fresh one, whose name no other key has: a lost file is not taken for a new one."""
        number = 1 + max((int(each.partition("-")[0]) for each in versions), default=0)
        grown = {**versions, f"{number}-{secrets.token_hex(4)}": secrets.token_bytes(32)}
        document: dict[str, Any] = {"format": FORMAT, "versions": {name: text(each) for name, each in grown.items()}}
        if self._passphrase_file is not None:
            document = self._closed(key, document)
        self._shelf.write(key, json.dumps(document).encode())
        return grown

    def _closed(self, key: str, document: dict[str, Any]) -> dict[str, Any]:
        salt, nonce = secrets.token_bytes(16), secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(self._from_passphrase(salt)).encrypt(nonce, json.dumps(document).encode(), key.encode())
        return {"format": FORMAT, "scrypt": {**SCRYPT, "salt": text(salt)}, "nonce": text(nonce), "sealed": text(sealed)}

    def _opened(self, key: str, document: dict[str, Any]) -> Any:
        salt, nonce, sealed = (b64decode(each) for each in (document["scrypt"]["salt"], document["nonce"], document["sealed"]))
        try:
            return json.loads(AESGCM(self._from_passphrase(salt)).decrypt(nonce, sealed, key.encode()))
        except InvalidTag:
            raise Unavailable(
                f"The {self._shelf.name} {self._shelf.where(key)} does not open with this passphrase.",
                hint="keys_secret_file names the file with the passphrase.",
            ) from None

    def _from_passphrase(self, salt: bytes) -> bytes:
        if self._passphrase_file is None:
            raise Unavailable(
                f"The {self._shelf.name} is under a passphrase, and none is given.",
                hint="Set keys_secret_file to the file with the passphrase.",
            )
        if salt not in self._derived:
            passphrase = read_secret(self._passphrase_file, "the passphrase of the keys").encode()
            self._derived[salt] = Scrypt(salt, 32, **SCRYPT).derive(passphrase)
        return self._derived[salt]


class LocalKeys(ShelfKeys):
    """Keys in files under one folder."""

    def __init__(self, folder: Path, key: str = "main", passphrase: Path | None = None, *, per_dataset: bool = True) -> None:
        super().__init__(FolderShelf(folder), key, passphrase, per_dataset=per_dataset)


def _newest(versions: dict[str, bytes]) -> str:
    return max(versions, key=lambda each: int(each.partition("-")[0]))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
