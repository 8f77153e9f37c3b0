"""
The key that signs the trail's heads, and the witness beside it.

    HOME/keys/audit.key        the private key; 0600, made on first use
    HOME/keys/audit.pub        the public key, for whoever verifies
    HOME/keys/audit.witness    the newest head that was signed

The witness lies outside the database: a database that was rolled back or replaced, by
whoever can write it but not this folder, does not fit it, and is not signed again.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path

from intramural.domain.audit_head import KEY_BYTES, PublicKey, SigningKey, TrailHead, read_head
from intramural.errors import IntegrityFailure, Unavailable

KEY, PUBLIC, WITNESS = "audit.key", "audit.pub", "audit.witness"
NOTE_BYTES = 4096
"""More than any note of ours has."""


class AuditKey:
    """Signs each head that follows from the one it signed before, and no other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key: SigningKey | None = None
        self._last: tuple[int, bytes, str | None] | None = None
        """Size, last leaf and note of the end that was signed or accepted last."""

    def sign(self, before: TrailHead, size: int, root: bytes) -> str | None:
        """Return the note over *size* and *root*; None when *before* is not what was signed last, or the key is away."""
        key = self._signing_key(may_make=before.size == 0 and before.note is None)
        if key is None or not self._follows(key, before):
            return None
        return key.note(size, root)

    def remember(self, end: TrailHead) -> None:
        """Keep the head of a committed *end* as the witness, unless a later one stands there."""
        if end.note is None:
            return
        self._last = (end.size, end.leaf, end.note)
        with suppress(OSError):
            file = _private(self._path(WITNESS), os.O_RDWR)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                before = os.read(file, NOTE_BYTES)
                if _size_in(before.decode(errors="replace")) < end.size:
                    note = end.note.encode()
                    os.pwrite(file, note, 0)
                    if len(note) < len(before):
                        os.truncate(file, len(note))
            finally:
                os.close(file)

    def accept(self, end: TrailHead) -> None:
        """Sign what follows *end*, though it was not signed: it was checked, and an owner answers for it."""
        if self._signing_key(may_make=end.note is None and self.witness() is None) is None:
            raise Unavailable(
                f"The signing key {self._folder / KEY} is away, so nothing can be signed.",
                hint="Restore it from a backup.",
            )
        (self._folder / WITNESS).unlink(missing_ok=True)
        self._last = (end.size, end.leaf, end.note)

    def signature(self, content: bytes) -> bytes:
        """Return the signature of *content*, which must not read as a head. Raises `Unavailable`."""
        key = self._signing_key(may_make=False)
        if key is None:
            raise Unavailable(f"The signing key {self._folder / KEY} is away.", hint="Restore it from a backup.")
        return key.signature(content)

    def public(self) -> PublicKey | None:
        """Return the public key: the private key's, else the one that is written beside it; None before the first act."""
        key = self._signing_key(may_make=False)
        if key is not None:
            return key.public()
        with suppress(FileNotFoundError):
            return PublicKey.read((self._folder / PUBLIC).read_text(encoding="utf-8"))
        return None

    def witness(self) -> str | None:
        """Return the newest head that was signed here."""
        try:
            file = os.open(self._path(WITNESS), os.O_RDONLY | os.O_CLOEXEC)
            try:
                return os.read(file, NOTE_BYTES).decode() or None
            finally:
                os.close(file)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise IntegrityFailure(
                f"{self._path(WITNESS)} cannot be read ({type(error).__name__}).", hint="Restore keys/ from a backup."
            ) from None

    def witnessed(self) -> int:
        """Return how many entries the newest head that was signed here covers, 0 before the first."""
        return _size_in(self.witness() or "0\n0\n")

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)

    def _follows(self, key: SigningKey, before: TrailHead) -> bool:
        """Tell whether *before* is what was signed last, here and in the database."""
        try:
            seen = self.witnessed()
        except IntegrityFailure:
            return False
        if seen > before.size:
            return False
        if before.size == 0 or (before.size, before.leaf, before.note) == self._last:
            return True
        return before.note is not None and before.note == key.note(before.size, before.tree.root())

    def _signing_key(self, *, may_make: bool) -> SigningKey | None:
        if self._key is None:
            line = self._read()
            if line is None and may_make and self._make():
                line = self._read()
            self._key = SigningKey.read(line) if line is not None else None
        return self._key

    def _read(self) -> str | None:
        try:
            return (self._folder / KEY).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return None

    def _make(self) -> bool:
        """Make a key, unless another process was faster; False when the folder cannot be written or has signed before."""
        if (self._folder / WITNESS).exists():
            return False
        key = SigningKey.made_from(secrets.token_bytes(KEY_BYTES))
        beside = self._folder / f".{KEY}.{os.getpid()}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(beside, key.line() + "\n")
            os.link(beside, self._folder / KEY)
            _write(self._folder / PUBLIC, key.public().line() + "\n")
        except FileExistsError:
            return True
        except OSError:
            return False
        finally:
            beside.unlink(missing_ok=True)
        return True


def _write(path: Path, text: str) -> None:
    with open(path, "w", encoding="utf-8", opener=_private) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _size_in(note: str) -> int:
    """Return a note's size; of an empty witness 0, of a damaged one more than any trail has."""
    if not note:
        return 0
    try:
        return read_head(note)[0]
    except ValueError:
        return 1 << 62
