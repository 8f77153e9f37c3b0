"""
The Merkle tree of RFC 6962 over the trail's leaf hashes: grown at its end, summed up in a few hashes.

A frontier holds the root of each full subtree that a tree of that size is made of, one
for each bit that is set in the size: all that growing needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256().digest()


class Tree:
    """The right edge of a tree: takes leaves, knows the root."""

    def __init__(self, size: int = 0, frontier: bytes = b"") -> None:
        hashes = [frontier[n : n + HASH_BYTES] for n in range(0, len(frontier), HASH_BYTES)]
        if len(hashes) != size.bit_count() or len(frontier) % HASH_BYTES:
            raise ValueError("the frontier is not one of that size")
        left = iter(hashes)
        self.size = size
        self._pending: list[bytes | None] = [next(left) if size >> level & 1 else None for level in range(size.bit_length())]
        """At each level the full subtree that has no right neighbour yet."""

    @property
    def frontier(self) -> bytes:
        """Return the pending subtrees, the smallest first."""
        return b"".join(each for each in self._pending if each is not None)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Append *leaves*, which are leaf hashes."""
        self.size += len(leaves)
        level, nodes = 0, list(leaves)
        while nodes:
            if level == len(self._pending):
                self._pending.append(None)
            before = self._pending[level]
            if before is not None:
                nodes.insert(0, before)
            self._pending[level] = nodes.pop() if len(nodes) % 2 else None
            nodes = [sha256(b"\1" + left + right).digest() for left, right in zip(nodes[::2], nodes[1::2], strict=True)]
            level += 1

    def grown(self, leaf: bytes) -> Tree:
        """Return the tree with one more leaf."""
        tree = Tree()
        tree.size, tree._pending = self.size, list(self._pending)
        tree.extend([leaf])
        return tree

    def root(self) -> bytes:
        """Return the hash that stands for all leaves and their order."""
        root: bytes | None = None
        for each in self._pending:
            if each is not None:
                root = each if root is None else sha256(b"\1" + each + root).digest()
        return EMPTY_ROOT if root is None else root


def inclusion_path(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the hashes that lead from the leaf at *index* to the root, its neighbour first."""
    path, nodes = [], list(leaves)
    while len(nodes) > 1:
        neighbour = index ^ 1
        if neighbour < len(nodes):
            path.append(nodes[neighbour])
        odd = [nodes.pop()] if len(nodes) % 2 else []
        nodes = [sha256(b"\1" + left + right).digest() for left, right in zip(nodes[::2], nodes[1::2], strict=True)] + odd
        index //= 2
    return tuple(path)
