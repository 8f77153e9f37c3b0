"""What the tests of measurement share: the published traces and their expected figures."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from intramural.measurement.detect import read_source
from intramural.measurement.figures import measure

TRACES = Path(__file__).parents[4] / "shared" / "data" / "traces"
MAPPINGS = Path(__file__).parent / "mappings"
NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def traces():
    """The folder of published traces."""
    if not TRACES.is_dir():
        pytest.skip("the published traces are not beside the repository")
    return TRACES


@pytest.fixture
def expected(traces):
    """The figures to reproduce, by trace."""
    return json.loads((traces / "expected.json").read_text())


@pytest.fixture
def measured(traces):
    """Measure a trace, whole, with a mapping and rules of the tests where named."""

    def figures(name, mapping=None, **options):
        source = read_source(str(traces / name), mapping=MAPPINGS / mapping if mapping else None)
        return measure([source], now=NOW, **{"days": None, **options})

    return figures


@pytest.fixture
def measured_text(tmp_path):
    """Measure text as if it had been exported to a file."""

    def figures(text, **options):
        path = tmp_path / "export.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return measure([read_source(str(path))], now=NOW, **{"days": None, **options})

    return figures
