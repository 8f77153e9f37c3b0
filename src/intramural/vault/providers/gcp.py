"""
Google Cloud KMS wraps: the extra `gcp`. Credentials are the SDK's own settings.

There is no own key per data set: KMS destroys a key version after a day at the earliest.
"""

from __future__ import annotations

from typing import Any

from intramural.domain.keys import ProviderDescription, WrappedKey
from intramural.errors import IntramuralError, InvalidInput, Unavailable
from intramural.sealing import SealContext
from intramural.vault.providers.face import body_of, does_not_unwrap, text

PROVIDER = "gcp"
NAME = "key provider Google Cloud KMS"
SECONDS = 5.0


class GcpKeys:
    """One customer-managed symmetric key of Cloud KMS."""

    def __init__(self, key: str | None, client: Any = None) -> None:
        """*key* is `projects/P/locations/L/keyRings/R/cryptoKeys/K`; *client* stands in for the SDK's."""
        if not key or key.count("/") != 7:
            raise InvalidInput(
                "Google Cloud KMS needs the key's whole name.",
                hint="Set keys_key to projects/…/locations/…/keyRings/…/cryptoKeys/…",
            )
        self._key, self._made = key, client

    def wrap(self, secret: bytes, context: SealContext, own: str | None = None) -> WrappedKey:
        """Encrypt with the primary version."""
        del own
        answer = self._call("encrypt", name=self._key, plaintext=secret, additional_authenticated_data=context.encoded())
        version = str(answer.name).rpartition("/")[2]
        return WrappedKey(provider=PROVIDER, key=self._key, version=version, body=text(answer.ciphertext))

    def unwrap(self, wrapped: WrappedKey, context: SealContext) -> bytes:
        """Decrypt; the service finds the version itself."""
        body = body_of(wrapped, NAME)
        request = {"name": wrapped.key, "ciphertext": body, "additional_authenticated_data": context.encoded()}
        return bytes(self._call("decrypt", **request).plaintext)

    def rotate(self, key: str | None = None) -> str:
        """Make a version and set it as the primary one."""
        made = self._call("create_crypto_key_version", parent=key or self._key, crypto_key_version={})
        version = str(made.name).rpartition("/")[2]
        self._call("update_crypto_key_primary_version", name=key or self._key, crypto_key_version_id=version)
        return version

    def destroy(self, wrapped: WrappedKey) -> bool:
        """Return False: the customer's key is shared."""
        del wrapped
        return False

    def own_key(self, own: str) -> str | None:
        """Return None: the customer's key is shared."""
        del own
        return None

    def describe(self) -> ProviderDescription:
        """Say which key, and whether it answers."""
        version, problem = None, None
        try:
            version = str(self._call("get_crypto_key", name=self._key).primary.name).rpartition("/")[2]
        except IntramuralError as error:
            problem = error.message
        return ProviderDescription(
            provider=PROVIDER,
            key=self._key,
            version=version,
            where="Google Cloud",
            available=problem is None,
            problem=problem,
            own_keys=False,
        )

    def _call(self, operation: str, **request: Any) -> Any:
        try:
            return getattr(self._client(), operation)(request=request, timeout=SECONDS)
        except IntramuralError:
            raise
        except Exception as error:  # the SDK's and its transport's errors share no base of their own
            if operation == "decrypt" and type(error).__name__ == "InvalidArgument":
                raise does_not_unwrap(NAME) from None
            raise Unavailable(
                f"The {NAME} does not do {operation} ({type(error).__name__}).", hint="Check the key and the rights on it."
            ) from error

    def _client(self) -> Any:
        if self._made is None:
            try:
                from google.cloud import kms  # noqa: PLC0415 - an extra
            except ImportError:
                raise InvalidInput(
                    "The package google-cloud-kms is not installed.", hint="pip install 'intramural[gcp]'"
                ) from None
            self._made = kms.KeyManagementServiceClient()
        return self._made
