from intramural.domain.descriptions import described
from intramural.domain.spec import JobSpec


def test_every_key_of_a_tune_file_is_described():
    schema = described(JobSpec)

    parts = {"JobSpec": schema, **schema["$defs"]}
    bare = [
        f"{name}.{field}"
        for name, part in parts.items()
        for field, shape in part.get("properties", {}).items()
        if not shape.get("description")
    ]
    assert bare == []
