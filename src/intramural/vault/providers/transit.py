"""OpenBao or HashiCorp Vault: the transit engine wraps, over its HTTP API; the key never leaves it."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from intramural.domain.keys import ProviderDescription, WrappedKey
from intramural.errors import IntramuralError, InvalidInput, NotFound, Unavailable
from intramural.sealing import SealContext
from intramural.vault.providers.face import body_of, does_not_unwrap, read_secret, text

PROVIDER = "openbao"
NAME = "key provider OpenBao"
MOUNT = "transit"
CREDENTIALS = ("BAO_TOKEN", "VAULT_TOKEN")
"""Variables that hold the API credential where no file is set; a job's process never gets them."""
NAMESPACES = ("BAO_NAMESPACE", "VAULT_NAMESPACE")
SECONDS = 5.0


class TransitKeys:
    """Keys of a transit engine."""

    def __init__(self, address: str | None, key: str, credential: Path | None, *, per_dataset: bool = True) -> None:
        parts = urlsplit(address or "")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidInput("The key provider OpenBao needs an address.", hint="Set keys_address to its URL.")
        if parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
            raise InvalidInput("The address of OpenBao is not encrypted.", hint="Use https, except on this machine itself.")
        self._address = (address or "").rstrip("/")
        self._key, self._credential, self._per_dataset = key, credential, per_dataset
        self._pool: Any = None

    def wrap(self, secret: bytes, context: SealContext, own: str | None = None) -> WrappedKey:
        """Encrypt with the newest version; a key that is not there is made."""
        is_own = own is not None and self._per_dataset
        key = f"{self._key}-{own}" if own is not None and self._per_dataset else self._key
        body = {"plaintext": text(secret), "associated_data": text(context.encoded())}
        try:
            answer = self._ask("POST", f"encrypt/{quote(key)}", body)
        except NotFound:
            self._ask("POST", f"keys/{quote(key)}", {"type": "aes256-gcm96", "exportable": False})
            answer = self._ask("POST", f"encrypt/{quote(key)}", body)
        sealed = str(answer["ciphertext"])
        return WrappedKey(provider=PROVIDER, key=key, version=sealed.split(":")[1], body=text(sealed.encode()), own=is_own)

    def unwrap(self, wrapped: WrappedKey, context: SealContext) -> bytes:
        """Decrypt; the provider finds the version itself."""
        body = {"ciphertext": body_of(wrapped, NAME).decode("latin-1"), "associated_data": text(context.encoded())}
        try:
            return b64decode(self._ask("POST", f"decrypt/{quote(wrapped.key)}", body)["plaintext"])
        except NotFound:
            raise does_not_unwrap(NAME) from None

    def rotate(self, key: str | None = None) -> str:
        """Add a version."""
        name = quote(key or self._key)
        if self._version(name) is None:
            self._ask("POST", f"keys/{name}", {"type": "aes256-gcm96", "exportable": False})
        else:
            self._ask("POST", f"keys/{name}/rotate", {})
        return f"v{self._version(name)}"

    def destroy(self, wrapped: WrappedKey) -> bool:
        """Delete an own key with all its versions."""
        if not wrapped.own or wrapped.key == self._key:
            return False
        name = quote(wrapped.key)
        if self._version(name) is not None:
            self._ask("POST", f"keys/{name}/config", {"deletion_allowed": True})
            self._ask("DELETE", f"keys/{name}", None)
        return self._version(name) is None

    def own_key(self, own: str) -> str | None:
        """Return the name with the customer's key before it."""
        return f"{self._key}-{own}"

    def describe(self) -> ProviderDescription:
        """Say which address, and whether it answers."""
        version, problem = None, None
        try:
            version = self._version(quote(self._key))
        except IntramuralError as error:
            problem = error.message
        return ProviderDescription(
            provider=PROVIDER,
            key=self._key,
            version=None if version is None else f"v{version}",
            where=f"{self._address}/v1/{MOUNT}",
            available=problem is None,
            problem=problem,
            own_keys=self._per_dataset,
        )

    def _version(self, name: str) -> int | None:
        try:
            return int(self._ask("GET", f"keys/{name}", None)["latest_version"])
        except NotFound:
            return None

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """Return the answer's data. Raises `NotFound` where the key is not there or does not open, `Unavailable`."""
        import urllib3  # noqa: PLC0415 - the command line starts without it

        if self._pool is None:
            self._pool = urllib3.PoolManager(retries=urllib3.Retry(connect=1, read=0, redirect=0, backoff_factor=0.1))
        try:
            answer = self._pool.request(
                method,
                f"{self._address}/v1/{MOUNT}/{path}",
                body=None if body is None else json.dumps(body).encode(),
                headers=self._headers(),
                timeout=urllib3.Timeout(SECONDS),
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(
                f"The {NAME} at {self._address} does not answer ({type(error).__name__}).",
                hint="Start or unseal it; what waits goes on by itself.",
            ) from error
        return self._read(method, path, answer)

    def _read(self, method: str, path: str, answer: Any) -> dict[str, Any]:
        if answer.status in {400, 404} and (method == "GET" or path.startswith(("encrypt/", "decrypt/"))):
            raise NotFound("The key is not there, or does not open this.")
        if answer.status >= 300:
            # What the provider writes may quote the request; its status says enough.
            hint = "Check the credential's rights." if answer.status == 403 else "Start or unseal it, then try again."
            raise Unavailable(
                f"The {NAME} at {self._address} says {answer.status} to {path.split('/', maxsplit=1)[0]}.", hint=hint
            )
        try:
            return dict(json.loads(answer.data)["data"] or {}) if answer.data else {}
        except (ValueError, KeyError, TypeError):
            return {}

    def _headers(self) -> dict[str, str]:
        namespace = next((os.environ[each] for each in NAMESPACES if os.environ.get(each)), None)
        beside = {"X-Vault-Namespace": namespace} if namespace else {}
        return {"X-Vault-Token": self._token(), "X-Vault-Request": "true", "Content-Type": "application/json", **beside}

    def _token(self) -> str:
        if self._credential is not None:
            return read_secret(self._credential, "the credential of OpenBao")
        for name in CREDENTIALS:
            if os.environ.get(name):
                return os.environ[name]
        raise Unavailable(f"There is no credential for the {NAME}.", hint="Set keys_secret_file, or BAO_TOKEN.")
