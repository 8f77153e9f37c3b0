"""The vault: files and trees in, the same bytes out, each checked against its digest."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from intramural.domain.value import Digest
from intramural.errors import Conflict, IntegrityFailure
from intramural.vault.blobs import BlobStore, DirectoryBlobs, read_chunks
from intramural.vault.tree import Tree, TreeFile, regular_files


class Vault:
    """Immutable bytes by digest."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    @classmethod
    def in_folder(cls, root: Path) -> Vault:
        """Return a vault whose blobs are files under *root*."""
        return cls(DirectoryBlobs(root))

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
        tree = Tree(files=files)
        return self.put_bytes(tree.model_dump_json().encode()), tree

    def open(self, digest: Digest) -> BinaryIO:
        """Return a reader of a blob. Raises `IntegrityFailure` when it is not there."""
        return self._blobs.open(digest)

    def tree(self, digest: Digest) -> Tree:
        """Return the manifest of a stored folder, checked against its digest."""
        with self._blobs.open(digest) as file:
            body = file.read()
        _check(sha256(body).hexdigest(), digest, "the manifest")
        return Tree.model_validate_json(body)

    def has(self, digest: Digest) -> bool:
        """Tell whether the blob is there."""
        return self._blobs.size(digest) is not None

    def stage(self, digest: Digest, target: Path) -> None:
        """Make a blob readable at *target*: a hard link where that is possible, else a copy."""
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        source = self._blobs.local_path(digest)
        if source is not None:
            try:
                os.link(source, target)
            except FileNotFoundError:
                pass  # the copy below says what is missing
            except OSError:
                pass  # another file system, or one without links
            else:
                return
        self._copy(digest, target)

    def stage_tree(self, digest: Digest, folder: Path) -> None:
        """Make a stored folder readable at *folder*."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, each in self.tree(digest).files.items():
            self.stage(each.digest, folder / name)

    def export_tree(self, digest: Digest, folder: Path) -> Tree:
        """Copy a stored folder to a new or empty *folder*, each byte checked on its way."""
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise Conflict(f"{folder} is not an empty folder.", hint="Choose a new one.")
        tree = self.tree(digest)
        for name, each in tree.files.items():
            self._copy(each.digest, folder / name)
        return tree

    def verify_tree(self, digest: Digest) -> Tree:
        """Read a stored folder whole; raise `IntegrityFailure` that names the first damaged file."""
        tree = self.tree(digest)
        for name, each in tree.files.items():
            found = sha256()
            with self._blobs.open(each.digest) as file:
                for chunk in read_chunks(file):
                    found.update(chunk)
            _check(found.hexdigest(), each.digest, name)
        return tree

    def remove(self, digest: Digest) -> None:
        """Forget a blob."""
        self._blobs.remove(digest)

    def _copy(self, digest: Digest, target: Path) -> None:
        found = sha256()
        with self._blobs.open(digest) as source:
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


def _check(found: str, digest: Digest, what: str) -> None:
    if f"sha256:{found}" != digest:
        raise IntegrityFailure(
            f"{what} is not what its digest says.", hint="Restore the vault from a backup, or add it again.", digest=digest
        )
