"""
AWS KMS wraps: the extra `aws`. Region, credentials and endpoint are the SDK's own settings.

There is no own key per data set: KMS destroys a key after a week at the earliest, so a
shredding could not prove anything by it.
"""

from __future__ import annotations

from typing import Any

from intramural.domain.keys import ProviderDescription, WrappedKey
from intramural.errors import IntramuralError, InvalidInput, Unavailable
from intramural.sealing import SealContext
from intramural.vault.providers.face import body_of, does_not_unwrap, text

PROVIDER = "aws"
NAME = "key provider AWS KMS"
SECONDS = 5
ENCRYPTED_ELSEWHERE = {"InvalidCiphertextException", "IncorrectKeyException"}


class AwsKeys:
    """One customer-managed key of KMS."""

    def __init__(self, key: str | None, region: str | None) -> None:
        """*key* is an id, ARN or alias; *region* may also be a whole endpoint's URL."""
        if not key:
            raise InvalidInput("AWS KMS needs the key's id, ARN or alias.", hint="Set keys_key.")
        self._key, self._region = key, region
        self._made: Any = None

    def wrap(self, secret: bytes, context: SealContext, own: str | None = None) -> WrappedKey:
        """Encrypt under the context."""
        del own
        answer = self._call("encrypt", KeyId=self._key, Plaintext=secret, EncryptionContext=_words(context))
        return WrappedKey(
            provider=PROVIDER, key=str(answer["KeyId"]), version=self._version(), body=text(answer["CiphertextBlob"])
        )

    def unwrap(self, wrapped: WrappedKey, context: SealContext) -> bytes:
        """Decrypt with the key that is named, whatever the ciphertext says."""
        body = body_of(wrapped, NAME)
        answer = self._call("decrypt", CiphertextBlob=body, KeyId=wrapped.key, EncryptionContext=_words(context))
        return bytes(answer["Plaintext"])

    def rotate(self, key: str | None = None) -> str:
        """Rotate on demand; KMS keeps the older material for what it encrypted."""
        self._call("rotate_key_on_demand", KeyId=key or self._call("describe_key", KeyId=self._key)["KeyMetadata"]["KeyId"])
        return self._version()

    def destroy(self, wrapped: WrappedKey) -> bool:
        """Return False: the customer's key is shared."""
        del wrapped
        return False

    def own_key(self, own: str) -> str | None:
        """Return None: the customer's key is shared."""
        del own
        return None

    def describe(self) -> ProviderDescription:
        """Say which key, and whether it is enabled."""
        problem = None
        version = None
        try:
            metadata = self._call("describe_key", KeyId=self._key)["KeyMetadata"]
            version = self._version()
            if metadata["KeyState"] != "Enabled":
                problem = f"The key is {metadata['KeyState']}."
        except IntramuralError as error:
            problem = error.message
        return ProviderDescription(
            provider=PROVIDER,
            key=self._key,
            version=version,
            where=self._region or "AWS",
            available=problem is None,
            problem=problem,
            own_keys=False,
        )

    def _version(self) -> str:
        """Return how often the key was rotated; KMS numbers no versions."""
        key = self._call("describe_key", KeyId=self._key)["KeyMetadata"]["KeyId"]
        return f"r{len(self._call('list_key_rotations', KeyId=key).get('Rotations', []))}"

    def _call(self, operation: str, **fields: Any) -> dict[str, Any]:
        client = self._client()
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - an extra, there once a client is

        try:
            return dict(getattr(client, operation)(**fields))
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            if code in ENCRYPTED_ELSEWHERE:
                raise does_not_unwrap(NAME) from None
            raise Unavailable(f"The {NAME} says {code} to {operation}.", hint="Check the key and the rights on it.") from error
        except BotoCoreError as error:
            raise Unavailable(
                f"The {NAME} does not answer ({type(error).__name__}).", hint="Check the network and the credentials."
            ) from error

    def _client(self) -> Any:
        if self._made is None:
            try:
                import boto3  # noqa: PLC0415 - an extra
                from botocore.config import Config  # noqa: PLC0415 - as above
            except ImportError:
                raise InvalidInput("The package boto3 is not installed.", hint="pip install 'intramural[aws]'") from None
            is_url = self._region is not None and "://" in self._region
            settings = Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": 2})
            where = {"endpoint_url": self._region} if is_url else {"region_name": self._region}
            self._made = boto3.session.Session().client("kms", config=settings, **where)
        return self._made


def _words(context: SealContext) -> dict[str, str]:
    return {"intramural:project": context.project, "intramural:kind": context.kind, "intramural:id": context.id}
