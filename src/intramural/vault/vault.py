"""
The vault: files and trees in, the same bytes out, each checked against its digest.

What came from customer data goes in sealed and lies under the digest of the sealed bytes;
base models are public bytes and lie as they are.
"""

from __future__ import annotations

import fcntl
import glob
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from hashlib import file_digest, sha256
from pathlib import Path
from typing import BinaryIO

from intramural.domain.value import Digest
from intramural.errors import Conflict, IntegrityFailure
from intramural.sealing import SealedFiles, is_sealed, open_sealed, sealed_chunks
from intramural.vault.blobs import BlobStore, DirectoryBlobs, disk_errors, read_chunks
from intramural.vault.tree import Tree, TreeFile, regular_files

RESTORE = "Restore the vault from a backup, or add the model or data again."


class Vault:
    """Immutable bytes by digest."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    @classmethod
    def in_folder(cls, root: Path) -> Vault:
        """Return a vault whose blobs are files under *root*."""
        return cls(DirectoryBlobs(root))

    def adding(self) -> AbstractContextManager[None]:
        """Keep what is put in the block from being removed before the store names it."""
        return self._blobs.held(alone=False)

    def removing(self, *, wait: bool = True) -> AbstractContextManager[None]:
        """Keep others from putting anything in the block, so that what nobody names now stays so.

        Raises `Conflict` while others put something, and this one shall not *wait*.
        """
        return self._blobs.held(alone=True, wait=wait)

    def unnamed(self, *, trees: Iterable[Digest], files: Iterable[Digest]) -> dict[Digest, int]:
        """Return the blobs that belong to none of the folders *trees* and are none of *files*, with their sizes.

        Raises `IntegrityFailure` where a folder's manifest is damaged: it does not tell what belongs to it.
        """
        named = set(files).union(*(self._digests(each) for each in trees))
        return {each: self._blobs.size(each) or 0 for each in self._blobs.digests() if each not in named}

    def remove_tree(self, digest: Digest, *, trees: Iterable[Digest], files: Iterable[Digest]) -> None:
        """Remove a stored folder, but nothing that belongs to the folders *trees* or is one of *files*."""
        try:
            unnamed = self._digests(digest).difference(files, *(self._digests(each) for each in trees))
        except IntegrityFailure:
            return  # a damaged folder does not tell what it shares with others
        for each in unnamed:
            self._blobs.remove(each)

    def _digests(self, digest: Digest) -> set[Digest]:
        return {digest, *(each.blob for each in self.tree(digest).files.values())}

    def put_stream(self, chunks: Iterable[bytes]) -> tuple[Digest, int]:
        """Store a stream; return its digest and size in bytes."""
        return self._blobs.write(chunks)

    def put_bytes(self, content: bytes) -> Digest:
        """Store *content*."""
        return self._blobs.write([content])[0]

    def put_file(self, path: Path) -> Digest:
        """Store a file's bytes."""
        with open(path, "rb") as file:
            return self._blobs.write(read_chunks(file))[0]

    def put_tree(self, folder: Path) -> tuple[Digest, Tree]:
        """Store every file of *folder*; the digest returned names the folder. Raises `InvalidInput` for links."""
        return self.put_files(regular_files(folder))

    def put_files(self, paths: Mapping[str, Path]) -> tuple[Digest, Tree]:
        """Store files under the names they shall have in a folder; the digest returned names that folder."""
        files = {}
        for name, path in sorted(paths.items()):
            with open(path, "rb") as file:
                digest, size = self._blobs.write(read_chunks(file))
            files[name] = TreeFile(digest=digest, size=size)
        return self._put_manifest(files)

    def put_sealed_files(self, paths: Mapping[str, Path], files: SealedFiles) -> tuple[Digest, Tree]:
        """Store files sealed, under the names they shall have in a folder; what is sealed already must open with *files*."""
        stored = {name: self._put_sealed_file(path, files, name) for name, path in sorted(paths.items())}
        return self._put_manifest(stored)

    def put_sealed_tree(self, folder: Path, files: SealedFiles) -> tuple[Digest, Tree]:
        """Store every file of *folder* sealed. Raises `InvalidInput` for links."""
        return self.put_sealed_files(regular_files(folder), files)

    def _put_sealed_file(self, path: Path, files: SealedFiles, name: str) -> TreeFile:
        with open(path, "rb") as file:
            done = is_sealed(file.read(16))
            file.seek(0)
            if not done:
                plain = _Counted(read_chunks(file))
                sealing = sealed_chunks(plain, files.keys.get(files.key_id), files.context.of(name))
                sealed, _ = self._blobs.write(sealing)
                return TreeFile(digest=plain.digest, size=plain.size, sealed=sealed)
            sealed, _ = self._blobs.write(read_chunks(file))
        with self._blobs.open(sealed) as source, open_sealed(source, files.keys, files.context.of(name)) as reader:
            plain = _Counted(read_chunks(reader))
            for _ in plain:
                pass
        return TreeFile(digest=plain.digest, size=plain.size, sealed=sealed)

    def _put_manifest(self, files: dict[str, TreeFile]) -> tuple[Digest, Tree]:
        tree = Tree(files=files)
        return self.put_bytes(tree.model_dump_json().encode()), tree

    def open(self, digest: Digest) -> BinaryIO:
        """Return a reader of a blob. Raises `IntegrityFailure` when it is not there."""
        return self._blobs.open(digest)

    def open_sealed(self, sealed: Digest, files: SealedFiles, name: str) -> BinaryIO:
        """Return a reader of what is sealed in a blob, checked against its digest. Raises `IntegrityFailure`."""
        self._verify(sealed, name)
        return open_sealed(self._blobs.open(sealed), files.keys, files.context.of(name))

    def has(self, digest: Digest) -> bool:
        """Tell whether a blob is there and whole."""
        try:
            self._verify(digest, "the blob")
        except IntegrityFailure:
            return False
        return True

    def remove(self, digest: Digest) -> None:
        """Remove one blob that nobody names any more."""
        self._blobs.remove(digest)

    def tree(self, digest: Digest) -> Tree:
        """Return the manifest of a stored folder, checked against its digest."""
        with self._blobs.open(digest) as file:
            body = file.read()
        _check(sha256(body).hexdigest(), digest, "the manifest")
        try:
            return Tree.model_validate_json(body)
        except ValueError:
            raise IntegrityFailure(
                f"{digest[:19]}… is no folder.", hint="Name the digest of a folder.", digest=digest
            ) from None

    def stage(self, digest: Digest, target: Path) -> None:
        """Make a blob readable at *target*, which must not exist: a hard link where that is possible, else a copy.

        Every byte is read and checked. Raises `IntegrityFailure`, and leaves nothing, when it is missing or damaged.
        """
        with disk_errors(str(target.parent)):
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        source = self._blobs.local_path(digest)
        if source is None or not _is_linked(source, target):
            self._copy(digest, target)
            return
        try:
            self._verify(digest, target.name)
        except BaseException:
            target.unlink()
            raise

    def stage_tree(self, digest: Digest, folder: Path) -> None:
        """Make a stored folder readable at *folder*, every byte checked."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, each in self.tree(digest).files.items():
            self.stage(each.blob, folder / name)

    def export_tree(self, digest: Digest, folder: Path, files: SealedFiles | None = None) -> Tree:
        """Copy a stored folder to a new or empty *folder*, each byte checked; it is whole or not there.

        What is sealed comes out in clear, opened with *files*.
        Raises `Conflict` for a folder with something in it, `DoesNotFit` or `Unavailable` when it cannot be written.
        """
        folder = folder.absolute()
        if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
            raise Conflict(f"{folder} is not an empty folder.", hint="Choose a new one.")
        tree = self.tree(digest)
        with _partial_of(folder) as partial:
            for name, each in tree.files.items():
                self._copy_plain(each, partial / name, files, name)
            with disk_errors(str(folder)):
                partial.rename(folder)
        return tree

    def verify_tree(self, digest: Digest) -> Tree:
        """Read a stored folder whole; raise `IntegrityFailure` that names the first damaged file."""
        tree = self.tree(digest)
        for name, each in tree.files.items():
            self._verify(each.blob, name)
        return tree

    def _verify(self, digest: Digest, name: str) -> None:
        """Read a blob whole; raise `IntegrityFailure` that calls it *name*."""
        if self._blobs.size(digest) is None:
            raise IntegrityFailure(f"{name} is missing from the vault.", hint=RESTORE, digest=digest)
        with self._blobs.open(digest) as file:
            found = file_digest(file, "sha256")  # type: ignore[arg-type]  # every binary file has readinto
        _check(found.hexdigest(), digest, name)

    def _copy_plain(self, each: TreeFile, target: Path, files: SealedFiles | None, name: str) -> None:
        if each.sealed is None:
            self._copy(each.digest, target)
        elif files is None:
            raise IntegrityFailure(f"{name} is sealed, and no key for it is at hand.", hint="Open it with its project's key.")
        else:
            self._write(self.open_sealed(each.sealed, files, name), each.digest, target)

    def _copy(self, digest: Digest, target: Path) -> None:
        self._write(self._blobs.open(digest), digest, target)

    def _write(self, source: BinaryIO, digest: Digest, target: Path) -> None:
        """Write what *source* reads to a new file, and check it; *source* is closed."""
        found = sha256()
        with source, disk_errors(str(target.parent)):
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as out:
                for chunk in read_chunks(source):
                    found.update(chunk)
                    out.write(chunk)
        try:
            _check(found.hexdigest(), digest, target.name)
        except IntegrityFailure:
            target.unlink()
            raise


class _Counted:
    """Chunks on their way, counted and digested."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._found, self.size = chunks, sha256(), 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._found.update(chunk)
            self.size += len(chunk)
            yield chunk

    @property
    def digest(self) -> Digest:
        """Of all that passed."""
        return f"sha256:{self._found.hexdigest()}"


@contextmanager
def _partial_of(folder: Path) -> Iterator[Path]:
    """Hand out a private folder beside *folder*, gone after the block unless it was renamed; remove what killed ones left."""
    with disk_errors(str(folder)):
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f".{glob.escape(folder.name)}.*.partial"):
            with suppress(OSError), _locked(left):
                shutil.rmtree(left, ignore_errors=True)
        partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
        partial.mkdir(mode=0o700)
    try:
        with _locked(partial):
            yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder; raise OSError where another process does."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _is_linked(source: Path, target: Path) -> bool:
    """Try a hard link; another file system or a missing source makes it impossible."""
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def _check(found: str, digest: Digest, what: str) -> None:
    if f"sha256:{found}" != digest:
        raise IntegrityFailure(f"{what} is not what its digest says.", hint=RESTORE, digest=digest)
