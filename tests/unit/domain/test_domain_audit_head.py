"""Signed heads: only the key that made one verifies it; damaged keys and notes are told apart from forged ones."""

import base64

import pytest

from intramural.domain.audit_head import PublicKey, SigningKey
from intramural.errors import IntegrityFailure, InvalidInput

KEY = SigningKey.made_from(bytes(range(32)))
ROOT = bytes(range(100, 132))


def test_a_head_is_verified_with_the_public_line_alone():
    note = KEY.note(1204, ROOT)

    assert PublicKey.read(KEY.public().line()).verify(note) == (1204, ROOT)
    assert note == SigningKey.read(KEY.line()).note(1204, ROOT)


def test_a_note_has_the_form_of_transparency_logs():
    name, size, root, empty, signature = KEY.note(7, ROOT).removesuffix("\n").split("\n")

    assert (name, size, root, empty) == (KEY.name, "7", base64.b64encode(ROOT).decode(), "")
    dash, signer, coded = signature.split(" ")
    assert (dash, signer) == ("—", KEY.name)
    assert len(base64.b64decode(coded)) == 4 + 64


@pytest.mark.parametrize(
    "forge",
    [
        lambda note: note.replace("\n1204\n", "\n1205\n"),
        lambda note: note.replace(base64.b64encode(ROOT).decode(), base64.b64encode(bytes(32)).decode()),
        lambda note: note.partition("\n\n")[0],
        lambda note: "",
        lambda note: note.replace("— intramural", "— somebody"),
        lambda note: SigningKey(KEY.name, bytes(32)).note(1204, ROOT),
        lambda note: SigningKey.made_from(bytes(32)).note(1204, ROOT),
    ],
)
def test_a_forged_head_is_refused(forge):
    with pytest.raises(IntegrityFailure):
        KEY.public().verify(forge(KEY.note(1204, ROOT)))


@pytest.mark.parametrize(
    "line", ["", "x", "a+b+c", KEY.line(), KEY.public().line()[:-6], KEY.public().line().replace("+", "-")]
)
def test_what_is_no_public_key_is_said_so(line):
    with pytest.raises(InvalidInput, match="public key") as caught:
        PublicKey.read(line)
    assert line == "" or line not in caught.value.message


@pytest.mark.parametrize("line", ["", "PRIVATE+KEY+", KEY.public().line(), KEY.line()[:-4], "PRIVATE+KEY+a+b+!!"])
def test_a_damaged_private_key_is_said_so_without_quoting_it(line):
    with pytest.raises(InvalidInput, match="signing key") as caught:
        SigningKey.read(line)
    assert not line or line not in f"{caught.value.message}{caught.value.hint}"
