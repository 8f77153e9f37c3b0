"""The cipher and the key derivation, from `cryptography`; imported when something is sealed or opened, not before."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def encrypted(key: bytes, nonce: bytes, plain: bytes | memoryview, bound: bytes) -> bytes:
    """Return *plain* under AES-256-GCM with its tag."""
    return AESGCM(key).encrypt(nonce, plain, bound)


def decrypted(key: bytes, nonce: bytes, sealed: bytes, bound: bytes) -> bytes | None:
    """Return the plain bytes, or None where the key, the nonce, the bytes or what they are bound to is another."""
    try:
        return AESGCM(key).decrypt(nonce, sealed, bound)
    except (InvalidTag, ValueError):
        return None


def derived(key: bytes, salt: bytes, words: bytes) -> bytes:
    """Return a key of the same length for the use that *words* name: HKDF with SHA-256 (RFC 5869)."""
    return HKDF(SHA256(), len(key), salt, words).derive(key)
