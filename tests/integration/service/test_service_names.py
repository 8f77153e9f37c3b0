"""Looking for names is off, and says so; one that cannot be done is refused before a file is read."""

import json

import pytest

from intramural.domain.views import DatasetOptions
from intramural.errors import InvalidInput
from intramural.service.datasets import add_dataset, list_datasets
from intramural.service.scans import scan_dataset


def silent(done, total, what):
    """Show no progress."""


def test_names_are_not_looked_for_unless_a_model_is_named(owner, tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"prompt": f"q {n}", "completion": "a"}) + "\n" for n in range(30)))

    added = add_dataset(owner, tmp_path / "a.jsonl", "rows", DatasetOptions(), silent)
    scanned = scan_dataset(owner, [tmp_path / "a.jsonl"], DatasetOptions(), silent)

    assert (added.names_by, scanned.names_by) == (None, None)
    with pytest.raises(InvalidInput):
        add_dataset(owner, tmp_path / "a.jsonl", "named", DatasetOptions(names="no_such_model"), silent)
    assert [each.label for each in list_datasets(owner)] == ["rows@1"]
