"""
Signatures that people make with the SSH key they have: `ssh-keygen -Y sign`, read and checked here.

The form is OpenSSH's `PROTOCOL.sshsig`, the keys are Ed25519. A signature is made for one
purpose, its *namespace*: one of a commit or of an e-mail is none of an approval.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from typing import NamedTuple

MAGIC = b"SSHSIG"
ED25519 = "ssh-ed25519"
KEY_BYTES = 32
HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
BEGIN, END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
LONGEST = 4096
"""Letters of a signature; an Ed25519 one has about 300."""


class SshKey(NamedTuple):
    """An Ed25519 key as one line of OpenSSH has it."""

    blob: bytes

    @classmethod
    def read(cls, kind: str, coded: str) -> SshKey:
        """Read the two words of a public key. Raises `ValueError`."""
        blob = base64.b64decode(coded, validate=True)
        key = cls(blob)
        if kind != ED25519 or len(key.raw) != KEY_BYTES:
            raise ValueError(f"not an {ED25519} key")
        return key

    @property
    def raw(self) -> bytes:
        """Return the 32 bytes of the key. Raises `ValueError` where it is of another kind."""
        kind, rest = _string(self.blob)
        raw, rest = _string(rest)
        if kind != ED25519.encode() or rest:
            raise ValueError("another kind of key")
        return raw

    @property
    def line(self) -> str:
        """Return the key as one line."""
        return f"{ED25519} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """Return what `ssh-keygen -l` shows."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")


def signer_of(armoured: str, message: bytes, namespace: str) -> SshKey:
    """Return the key that signed *message* for *namespace*. Raises `ValueError` where none did."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - keeps the command line's start fast
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - as above

    key, signed_for, hashed, signature = _parts(armoured)
    if signed_for != namespace.encode() or hashed not in HASHES:
        raise ValueError("signed for something else")
    text = MAGIC + b"".join(map(_packed, (signed_for, b"", hashed, HASHES[hashed](message).digest())))
    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, text)
    except InvalidSignature:
        raise ValueError("not the signature of this text") from None
    return key


def _parts(armoured: str) -> tuple[SshKey, bytes, bytes, bytes]:
    """Return key, namespace, hash and raw signature."""
    found = re.fullmatch(rf"\s*{BEGIN}\s+([A-Za-z0-9+/=\s]+?)\s+{END}\s*", armoured[:LONGEST])
    if found is None:
        raise ValueError("no signature of SSH")
    try:
        blob = base64.b64decode("".join(found[1].split()), validate=True)
    except binascii.Error:
        raise ValueError("no signature of SSH") from None
    if blob[: len(MAGIC) + 4] != MAGIC + struct.pack(">I", 1):
        raise ValueError("another version")
    fields, rest = [], blob[len(MAGIC) + 4 :]
    for _ in range(5):
        field, rest = _string(rest)
        fields.append(field)
    key, namespace, _reserved, hashed, signature = fields
    kind, raw = _string(signature)
    raw, more = _string(raw)
    if rest or more or kind != ED25519.encode():
        raise ValueError("another kind of signature")
    return SshKey.read(ED25519, base64.b64encode(key).decode()), namespace, hashed, raw


def _string(content: bytes) -> tuple[bytes, bytes]:
    """Part a string with its length before it from the rest."""
    if len(content) < 4:
        raise ValueError("cut short")
    (length,) = struct.unpack(">I", content[:4])
    if len(content) < 4 + length:
        raise ValueError("cut short")
    return content[4 : 4 + length], content[4 + length :]


def _packed(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content
