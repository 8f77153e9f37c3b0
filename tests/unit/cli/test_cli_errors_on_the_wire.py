"""An error keeps its class over the wire, also where a room made a finer one of its own."""

from intramural.errors import IntramuralError, InvalidInput, from_document


class _FinerInput(InvalidInput):
    """A room's own kind of invalid input, with a constructor of its own."""

    def __init__(self, line):
        super().__init__(f"line {line}")


def test_a_class_without_a_code_of_its_own_arrives_as_its_parent():
    error = from_document(_FinerInput(3).document())

    assert type(error) is InvalidInput
    assert error.message == "line 3"
    assert type(from_document({"code": "?", "message": "x"})) is IntramuralError
