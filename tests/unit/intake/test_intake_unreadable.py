import pytest

from intramural.errors import InvalidInput
from intramural.intake.add import IngestOptions, ingest


def test_a_file_without_a_readable_row_names_its_first_fault(tmp_path):
    source = tmp_path / "rows.jsonl"
    source.write_text("not json\n")

    with pytest.raises(InvalidInput, match=r"line 1: not JSON at column 1"):
        ingest(source, tmp_path / "work", IngestOptions())
