"""The tree is the one of RFC 6962: its definition is written out here again, and a proof is checked as RFC 9162 says."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intramural.domain.audit_tree import EMPTY_ROOT, Tree, inclusion_path


def leaf(content):
    return sha256(b"\0" + content).digest()


def node(left, right):
    return sha256(b"\1" + left + right).digest()


def defined_root(leaves):
    """Section 2.1: split at the largest power of two below the size."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node(defined_root(leaves[:split]), defined_root(leaves[split:]))


def is_included(content, index, size, path, root):
    """RFC 9162, section 2.1.3.2."""
    fn, sn, found = index, size - 1, leaf(content)
    for step in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            found = node(step, found)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            found = node(found, step)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and found == root


# The leaves and roots that the implementations of Certificate Transparency are tested with.
CONTENTS = [bytes.fromhex(each) for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
}


@pytest.mark.parametrize("size", ROOTS)
def test_roots_are_those_of_other_implementations(size):
    tree = Tree()
    tree.extend([leaf(each) for each in CONTENTS[:size]])

    assert tree.root().hex() == ROOTS[size]


def test_an_empty_tree_has_the_hash_of_nothing():
    assert Tree().root() == EMPTY_ROOT == sha256(b"").digest()


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_a_tree_grown_in_any_steps_has_the_root_of_the_definition(steps):
    leaves = [leaf(str(n).encode()) for n in range(sum(steps))]
    tree, done = Tree(), 0
    for step in steps:
        tree = Tree(tree.size, tree.frontier)
        tree.extend(leaves[done : done + step])
        done += step

    assert tree.size == len(leaves)
    assert tree.root() == (defined_root(leaves) if leaves else EMPTY_ROOT)


def test_growing_a_copy_leaves_the_tree_as_it_was():
    tree = Tree()
    tree.extend([leaf(b"one"), leaf(b"two"), leaf(b"three")])
    before = tree.root()

    assert tree.grown(leaf(b"four")).root() == defined_root([leaf(each) for each in (b"one", b"two", b"three", b"four")])
    assert tree.root() == before


@given(st.integers(1, 130), st.data())
def test_a_path_is_accepted_by_the_algorithm_of_the_standard_and_only_for_its_place(size, data):
    contents = [str(n).encode() for n in range(size)]
    index = data.draw(st.integers(0, size - 1))
    leaves = [leaf(each) for each in contents]
    path, root = inclusion_path(leaves, index), defined_root(leaves)

    assert is_included(contents[index], index, size, path, root)
    assert not is_included(b"another", index, size, path, root)
    if size > 1:
        assert not is_included(contents[index], (index + 1) % size, size, path, root)


@pytest.mark.parametrize(("size", "frontier"), [(1, b""), (0, bytes(32)), (3, bytes(32)), (1, bytes(33))])
def test_a_frontier_of_another_size_is_none(size, frontier):
    with pytest.raises(ValueError, match="frontier"):
        Tree(size, frontier)
