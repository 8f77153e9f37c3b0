"""Counts of batches are merged before they grow, and stay what they were."""

import polars as pl

from intramural.measurement import counting
from intramural.measurement.counting import count, newest
from intramural.measurement.job_types import default_rules
from intramural.measurement.records import SCHEMA, Source, normal


def a_source(rows):
    return Source(kind="table", frame=normal(pl.DataFrame(rows, schema=SCHEMA, strict=False)))


def test_parts_that_are_merged_on_the_way_hold_what_those_merged_at_the_end_do():
    """As many different values as rows, over several batches, is what makes the parts grow."""
    jobs = 5 * counting.BATCH_ROWS
    rows = pl.DataFrame({"run_seconds": pl.int_range(jobs, eager=True)}).with_columns(
        state=pl.lit("completed"), gpus=pl.lit(1.0), name=pl.lit("eval")
    )
    source = Source(kind="table", frame=normal(rows))

    found = count([source], [None], default_rules(), ())

    assert found.runs["jobs"].sum() == found.jobs["jobs"].sum() == jobs
    assert found.runs["value"].n_unique() == jobs
    assert found.jobs["gpu_hours"].sum() * 3600 == jobs * (jobs - 1) / 2


def test_the_newest_time_is_the_submission_where_that_is_known():
    sources = [a_source([{"submitted": 5.0, "started": 9.0}, {"submitted": 7.0}]), a_source([{"ended": 3.0}]), a_source([{}])]

    assert newest(sources) == [7.0, 3.0, None]
