"""An exported trail is checked with the file and the public key alone, and other tools agree."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from trail_world import acts

from intramural.connectors.audit_file import check_audit_file
from intramural.domain.access import Action, Role
from intramural.domain.audit import AuditRetention, Origin
from intramural.domain.audit_head import SigningKey
from intramural.errors import IntegrityFailure, InvalidInput, Refused
from intramural.service.audit import export_audit, prove_audit, prune_audit, verify_audit
from intramural.service.audit_key import AuditKey


@pytest.fixture
def owner_of_trail(make_context):
    home = make_context().home
    ctx = make_context(
        audit_key=AuditKey(home / "keys"),
        origin=Origin(host="here", uid=7, pid=8),
        audit_retention=AuditRetention(access=10),
    )
    acts(ctx, *"abcde", action=Action.DATASET_SAMPLE)
    return ctx


@pytest.fixture(params=[None, 1, 700, 3000], ids=["whole", "a byte", "a line", "some lines"])
def in_parts(request):
    """How much of a file is checked at once; more than one part by threads, which start sooner than processes."""
    return {} if request.param is None else {"part_bytes": request.param, "crew": lambda: ThreadPoolExecutor(2)}


@pytest.fixture
def exported(owner_of_trail, in_parts, tmp_path):
    """The file, its lines, and a way to check it after a change."""
    file = tmp_path / "trail.jsonl"
    export_audit(owner_of_trail, file)
    key = owner_of_trail.audit_key.public()

    def check(lines=None, signed_by=key):
        if lines is not None:
            file.write_text("".join(each if isinstance(each, str) else json.dumps(each) + "\n" for each in lines))
        return check_audit_file(file, signed_by, **in_parts)

    check.lines = lambda: [json.loads(each) for each in file.read_text().splitlines()]
    check.file = file
    return check


def test_an_exported_file_is_checked_offline(exported):
    check = exported()

    assert (check.entries, check.first, check.signed) == (6, 1, 6)
    assert [each["api"]["operation"] for each in exported.lines()] == ["dataset:sample"] * 5 + ["audit:export"]
    assert exported.file.stat().st_mode & 0o777 == 0o600


def test_every_core_checks_a_part_and_tells_how_far_it_is(owner_of_trail, tmp_path):
    acts(owner_of_trail, *[str(each) for each in range(50)])
    file, told = tmp_path / "long.jsonl", []
    export_audit(owner_of_trail, file)

    check = check_audit_file(file, owner_of_trail.audit_key.public(), lambda *each: told.append(each), part_bytes=5000)

    size = file.stat().st_size
    assert (check.entries, check.signed) == (56, 56)
    assert len(told) > 5
    assert told == sorted(told)
    assert told[-1] == (size, size)


def test_processes_that_die_leave_the_work_to_this_one(owner_of_trail, tmp_path):
    class Dying(ThreadPoolExecutor):
        def map(self, *work):
            raise BrokenProcessPool

    export_audit(owner_of_trail, tmp_path / "trail.jsonl")

    check = check_audit_file(tmp_path / "trail.jsonl", owner_of_trail.audit_key.public(), part_bytes=700, crew=lambda: Dying(1))

    assert check.entries == 6


def test_later_entries_can_be_exported_alone_and_still_be_checked(owner_of_trail, exported, in_parts, tmp_path):
    acts(owner_of_trail, "f", "g")
    done = export_audit(owner_of_trail, tmp_path / "more.jsonl", after=6)

    check = check_audit_file(tmp_path / "more.jsonl", owner_of_trail.audit_key.public(), **in_parts)

    assert (done.first, done.last, done.entries) == (7, 9, 3)
    assert (check.first, check.entries, check.signed) == (7, 3, 9)


def test_a_pruned_trail_is_whole_in_a_file_too(owner_of_trail, clock, in_parts, tmp_path):
    clock.wait(11 * 24 * 3600)
    prune_audit(owner_of_trail)
    export_audit(owner_of_trail, tmp_path / "pruned.jsonl")

    assert check_audit_file(tmp_path / "pruned.jsonl", owner_of_trail.audit_key.public(), **in_parts).pruned == 5


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"name":"user:', b'"name":"USER:'),
        (b'"status":"Success"', b'"status":"Failure"'),
        (b'"uid":"3"', b'"uid":"4"'),
        (b'"salt":"', b'"salt":"00'),
        (b'"category_uid":6', b'"category_uid":6,"category_uid":7'),
        (b'{"intramural":', b'{"other":1,"intramural":'),
    ],
)
def test_a_few_bytes_changed_in_a_line_as_it_was_written_are_found(exported, old, new):
    lines = exported.file.read_bytes().splitlines(keepends=True)
    assert old in lines[2]
    lines[2] = lines[2].replace(old, new)
    exported.file.write_bytes(b"".join(lines))

    with pytest.raises(IntegrityFailure) as caught:
        exported()

    assert caught.value.about["seq"] == 3


def with_field(line, *path, to):
    *parents, last = path
    place = line
    for each in parents:
        place = place[each]
    place[last] = to
    return line


def chain(line):
    return line["unmapped"]["intramural"]


CHANGES = {
    "what a reader sees": (
        lambda lines: [*lines[:2], with_field(lines[2], "actor", "user", "name", to="user:x"), *lines[3:]],
        3,
    ),
    "when": (lambda lines: [*lines[:2], with_field(lines[2], "time", to=0), *lines[3:]], 3),
    "the body": (
        lambda lines: [*lines[:2], with_field(lines[2], "unmapped", "intramural", "body", to="{}"), *lines[3:]],
        3,
    ),
    "its kind": (
        lambda lines: [*lines[:2], with_field(lines[2], "unmapped", "intramural", "kind", to="run"), *lines[3:]],
        3,
    ),
    "something more": (lambda lines: [*lines[:2], lines[2] | {"message": "all is well"}, *lines[3:]], 3),
    "removed": (lambda lines: [*lines[:2], *lines[3:]], 3),
    "reordered": (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], 2),
    "twice": (lambda lines: [*lines[:3], lines[2], *lines[3:]], 4),
    "no entry": (lambda lines: [*lines[:2], "oops\n", *lines[3:]], None),
    "another document": (lambda lines: [*lines[:2], {"unmapped": {"intramural": 7}}, *lines[3:]], None),
    "cut": (lambda lines: lines[:-1], None),
    "beginning cut": (lambda lines: lines[1:], None),
    "a body gone": (
        lambda lines: [
            *lines[:2],
            with_field(
                lines[2], "unmapped", "intramural", to={k: v for k, v in chain(lines[2]).items() if k not in ("body", "salt")}
            ),
            *lines[3:],
        ],
        3,
    ),
    "cut, with the head moved": (
        lambda lines: [*lines[:3], with_field(lines[3], "unmapped", "intramural", "head", to=chain(lines[-1])["head"])],
        5,
    ),
    "beginning cut, with a start made up": (
        lambda lines: [
            with_field(lines[1], "unmapped", "intramural", "start", to={"last_at": 0, "frontier": "00" * 32}),
            *lines[2:],
        ],
        2,
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_of_a_file_is_found_and_its_place_named(exported, name):
    change, seq = CHANGES[name]

    with pytest.raises(IntegrityFailure) as caught:
        exported(change(exported.lines()))

    assert caught.value.about.get("seq") == seq


def test_a_line_that_is_no_entry_is_named_by_its_number(exported):
    lines = exported.lines()

    with pytest.raises(IntegrityFailure, match="Line 5 is damaged") as caught:
        exported([*lines[:4], "oops\n", *lines[4:]])

    assert caught.value.about["line"] == 5


def test_a_file_that_another_key_signed_is_refused(exported):
    with pytest.raises(IntegrityFailure, match="not signed by this key"):
        exported(signed_by=SigningKey.made_from(bytes(32)).public())


@pytest.mark.parametrize("content", ["", "hello\n", "{}\n", '{"messages": []}\n', "\x00\n"])
def test_another_kind_of_file_is_no_trail(exported, content):
    with pytest.raises(InvalidInput):
        exported([content])


def test_a_file_that_is_not_there_is_said_so(exported, tmp_path):
    with pytest.raises(InvalidInput, match="cannot be read"):
        check_audit_file(tmp_path / "none", SigningKey.made_from(bytes(32)).public())


@pytest.mark.parametrize("form", ["cef", "syslog"])
def test_other_forms_have_a_line_for_each_entry(owner_of_trail, tmp_path, form):
    export_audit(owner_of_trail, tmp_path / "out", form)

    assert len((tmp_path / "out").read_text().splitlines()) == 6


def test_a_link_is_written_through_and_stays(owner_of_trail, tmp_path):
    """`-o /dev/stdout > file` as root must not put a file in the place of the device's name."""
    (tmp_path / "target").touch()
    (tmp_path / "link").symlink_to(tmp_path / "target")

    export_audit(owner_of_trail, tmp_path / "link", "syslog")

    assert (tmp_path / "link").is_symlink()
    assert len((tmp_path / "target").read_text().splitlines()) == 6


def test_an_export_that_cannot_be_is_said_so(owner_of_trail, tmp_path):
    for file, form, after in ((tmp_path / "none" / "x", "ocsf", 0), (tmp_path / "x", "xml", 0), (tmp_path / "x", "ocsf", 99)):
        with pytest.raises(InvalidInput):
            export_audit(owner_of_trail, file, form, after)
    assert not (tmp_path / "x").exists()


def test_a_member_exports_nothing(make_context, tmp_path):
    with pytest.raises(Refused):
        export_audit(make_context(Role.MEMBER), tmp_path / "x")


def signed_root(proof, vkey):
    """Read the head as any tool of transparency logs does."""
    name, _, coded = vkey.split("+", 2)
    text, _, signature = proof.head.partition("\n\n")
    raw = base64.b64decode(signature.split(" ")[2])
    Ed25519PublicKey.from_public_bytes(base64.b64decode(coded)[1:]).verify(raw[4:], (text + "\n").encode())
    origin, size, root = text.split("\n")
    assert (origin, int(size)) == (name, proof.tree_size)
    return base64.b64decode(root)


@pytest.mark.parametrize("seq", [1, 2, 3, 4, 5])
def test_a_proof_is_accepted_by_code_that_knows_only_the_standard(owner_of_trail, seq):
    proof = prove_audit(owner_of_trail, seq)
    root = signed_root(proof, owner_of_trail.audit_key.public().line())

    found, index, last = sha256(b"\0" + bytes.fromhex(proof.record)).digest(), proof.leaf_index, proof.tree_size - 1
    for step in map(bytes.fromhex, proof.path):
        if index & 1 or index == last:
            found = sha256(b"\1" + step + found).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            found = sha256(b"\1" + found + step).digest()
        index, last = index >> 1, last >> 1

    assert (found, last) == (root, 0)
    assert bytes.fromhex(proof.record)[-32:] == sha256(bytes.fromhex(proof.salt) + proof.body.encode()).digest()


def test_the_root_is_that_of_an_independent_tree(owner_of_trail):
    pymerkle = pytest.importorskip("pymerkle", reason="an independent tree; GPL, so it is no dependency")
    acts(owner_of_trail, *(f"more-{n}" for n in range(20)))
    theirs = pymerkle.InmemoryTree(algorithm="sha256")
    for seq in range(1, 26):
        theirs.append_entry(bytes.fromhex(prove_audit(owner_of_trail, seq).record))

    root = theirs.get_root()
    assert root.hex() == verify_audit(owner_of_trail).root
    ours = prove_audit(owner_of_trail, 7)
    pymerkle.verify_inclusion(bytes.fromhex(ours.leaf), root, theirs.prove_inclusion(7, 25))
