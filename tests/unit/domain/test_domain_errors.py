"""Errors travel as documents and arrive as what they were."""

import pytest

from intramural import errors

CLASSES = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.IntramuralError)]


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_arrives_as_it_left(kind):
    error = kind("it happened", hint="do this", need_bytes=3, names=["a"])

    back = errors.from_document(error.document())

    assert type(back) is kind
    assert back.document() == error.document()
    assert str(back) == "it happened"


def test_no_two_classes_share_a_code():
    assert len({each.code for each in CLASSES}) == len(CLASSES)


def test_an_error_of_a_newer_version_is_still_an_error():
    back = errors.from_document({"code": "not_invented_yet", "message": "it happened"})

    assert (type(back), back.hint, back.about) == (errors.IntramuralError, None, {})
