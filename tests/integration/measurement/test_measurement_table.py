"""Tables with a mapping: units, words, formats, Parquet, and what is wrong with a mapping or a table."""

from datetime import UTC, datetime

import polars as pl
import pytest

from intramural.errors import InvalidInput, NotFound
from intramural.measurement.detect import Kind, kind_of, read_source
from intramural.measurement.figures import measure

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def measured(tmp_path):
    """Measure a table (text, or a frame as Parquet) by a mapping."""

    def figures(body, mapping=None):
        path, rules = tmp_path / "jobs", tmp_path / "columns.yaml"
        body.write_parquet(path) if isinstance(body, pl.DataFrame) else path.write_text(body)
        if mapping:
            rules.write_text(mapping)
        return measure([read_source(str(path), mapping=rules if mapping else None)], now=NOW, days=None)

    return figures


def test_words_and_units_of_the_table(measured):
    found = measured(
        "id;how;took;waited;cards;set\n1;Passed;2;00:01:00;4;1.5\n2;Killed;1;1-00:00:00;1;\n3;odd;3;00:00:00;;2\n",
        """
columns:
  job: id
  state: {column: how, values: {Killed: cancelled}, otherwise: failed}
  run_seconds: {column: took, unit: h}
  queue_seconds: {column: waited, unit: clock}
  gpus: cards
  dataset_bytes: {column: set, unit: GB}
""",
    )

    assert found.states == {"cancelled": 1, "completed": 1, "failed": 1}
    assert (found.run_seconds.p50, found.queue_seconds.p50, found.queue_seconds.largest) == (7200.0, 60.0, 86400.0)
    assert (found.gpu_hours, found.dataset_bytes.largest, found.dataset_bytes.counted) == (9.0, 2e9, 2)


@pytest.mark.parametrize(
    ("rule", "submit", "start"),
    [
        ("submitted: a\n  started: b", "2026-11-01 10:00:00", "2026-11-01T10:01:30Z"),
        ("submitted: a\n  started: b", "2026-11-01T10:00:00+00:00", "2026-11-01T11:01:30.000+01:00"),
        ("submitted: a\n  started: b", "1790000000", "1790000090"),
        ("submitted: {column: a, unit: ms}\n  started: {column: b, unit: ms}", "1790000000000", "1790000090000"),
        (
            "submitted: {column: a, format: '%d.%m.%Y %H:%M:%S'}\n  started: {column: b, format: '%d.%m.%Y %H:%M:%S'}",
            "01.11.2026 10:00:00",
            "01.11.2026 10:01:30",
        ),
    ],
)
def test_times_in_the_forms_that_tables_have(measured, rule, submit, start):
    found = measured(f"a,b,s\n{submit},{start},ok\n", f"columns:\n  state: s\n  {rule}\n")

    assert (found.queue_seconds.p50, found.states) == (90.0, {"completed": 1})
    assert found.window.first.year == 2026


def test_parquet_with_its_own_types(measured):
    moment = datetime(2026, 11, 1, 10, tzinfo=UTC)
    rows = pl.DataFrame({"submitted": [moment], "started": [moment.replace(minute=2)], "gpus": [8], "state": ["FAILED"]})

    found = measured(rows)

    assert (found.queue_seconds.p50, found.gpu_counts, found.success) == (120.0, {"8": 100.0}, 0.0)


def test_names_of_columns_that_say_what_they_are_need_no_mapping(measured):
    found = measured('Job ID,Status,Start,End\n1,"done, well",2026-11-01 10:00:00,2026-11-01 11:00:00\n')

    assert (found.run_seconds.p50, found.states) == (3600.0, {"completed": 1})
    assert "`Status` as state" in found.notices[0]


def test_empty_lines_and_short_rows(measured):
    found = measured("id,state,run_seconds\n1,ok,5\n,,\n2,ok\n")

    assert (found.jobs, found.skipped_rows, found.run_seconds.counted) == (2, 1, 1)


@pytest.mark.parametrize(
    ("mapping", "message", "hint"),
    [
        ("columns: {stat: how}", "did you mean `state`", "Mend"),
        ("columns: {state: hwo}", "no column `hwo`", "Did you mean `how`"),
        ("columns: {run_seconds: {column: how, unit: GB}}", "takes the units", "Mend"),
        ("columns: {name: {column: how, unit: s}}", "takes no unit", "Mend"),
        ("columns: {state: {column: how, values: {a: won}}}", "`state` is one of completed", "Mend"),
        ("columns: {state: {colum: how}}", "did you mean `column`", "Mend"),
        ("columns: {}", "name at least one column", "Mend"),
    ],
)
def test_a_mistake_in_a_mapping_is_named(measured, mapping, message, hint):
    with pytest.raises(InvalidInput, match=message) as refused:
        measured("id,how\n1,ok\n", mapping)

    assert hint in refused.value.hint


def test_a_table_that_is_none_and_one_without_rows(measured):
    with pytest.raises(InvalidInput, match="holds no job"):
        measured("id,state\n")
    with pytest.raises(InvalidInput, match="is empty"):
        measured("\n\n", "columns: {state: a}")


def test_a_folder_is_read_as_one_source_when_its_files_are_of_one_kind(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("id,state\n1,ok\n")
    assert measure([read_source(str(tmp_path))], now=NOW).jobs == 2

    (tmp_path / "c.txt").write_text("JobID|State\n1|COMPLETED\n")
    with pytest.raises(InvalidInput, match=r"several kinds: a\.csv \(table\)"):
        read_source(str(tmp_path))


def test_what_cannot_be_opened(tmp_path):
    with pytest.raises(NotFound, match="There is no file"):
        read_source(str(tmp_path / "nothing"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no file in it"):
        read_source(str(tmp_path / "empty"))
    (tmp_path / "cut.gz").write_bytes(b"\x1f\x8b\x08\x00cut")
    with pytest.raises(InvalidInput, match="damaged or cut off"):
        read_source(str(tmp_path / "cut.gz"))
    (tmp_path / "x.xz").write_bytes(b"\xfd7zXZ\x00\x00\x00")
    with pytest.raises(InvalidInput, match="packed with xz"):
        read_source(str(tmp_path / "x.xz"))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("JobID|State\n1|COMPLETED\n", Kind.SACCT),
        ('{"meta": {}, "jobs": [{"job_id": 1}]}', Kind.SACCT_JSON),
        ('{"apiVersion": "v1", "kind": "List", "items": []}', Kind.KUBERNETES),
        ("NAME   READY   STATUS   RESTARTS   AGE\na  1/1  Running 0 1d\n", Kind.KUBERNETES_TABLE),
        ("Name,State,Created,Runtime\nrun,finished,2026-11-01,5\n", Kind.WANDB),
        ('[{"name": "a", "state": "finished", "created_at": "2026-11-01", "summary": {"_runtime": 5}}]', Kind.WANDB),
        ("job,state\n1,ok\n", Kind.TABLE),
        ("run_seconds\n5\n7\n", Kind.TABLE),
    ],
)
def test_the_content_tells_the_kind(tmp_path, body, kind):
    (tmp_path / "export").write_text(body)

    assert kind_of(tmp_path / "export") is kind
