"""Every figure's definition, held against rows worked out by hand."""

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intramural.errors import InvalidInput
from intramural.measurement.figures import measure
from intramural.measurement.job_types import JobTypeRule, JobTypeRules
from intramural.measurement.percentiles import percentiles
from intramural.measurement.records import SCHEMA, Source, normal

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = 86_400
EPOCH = NOW.timestamp()


def a_source(*rows, kind="table", **more):
    frame = pl.DataFrame([{"state": "completed", **row} for row in rows], schema=SCHEMA, strict=False)
    return Source(kind=kind, frame=normal(frame), **more)


def figures(*rows, days=90, **options):
    return measure([a_source(*rows)], now=NOW, days=days, **options)


def ran(seconds, state="completed", **more):
    return {"run_seconds": seconds, "state": state, **more}


def test_run_times_interpolate_between_the_two_nearest_ranks():
    found = figures(*(ran(each) for each in (10, 20, 30, 40))).run_seconds

    assert (found.counted, found.p50, found.p90, found.mean, found.largest) == (4, 25.0, 37.0, 25.0, 40.0)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60))
def test_counted_values_have_the_percentiles_of_the_values_written_out(values):
    frame = pl.Series("value", values, dtype=pl.Float64).value_counts(name="jobs")

    found = percentiles(frame)

    assert [found.p50, found.p90, found.p95, found.p99] == pytest.approx(np.percentile(values, [50, 90, 95, 99]))
    assert (found.counted, found.mean) == (len(values), pytest.approx(np.mean(values)))


def test_an_empty_distribution_has_no_numbers():
    assert figures({}).run_seconds.model_dump(exclude_none=True) == {"counted": 0}


def test_durations_come_from_the_times_and_a_negative_one_is_unknown():
    times = [{"submitted": EPOCH - 100, "started": EPOCH - 60, "ended": EPOCH - 50}, {"started": EPOCH, "ended": EPOCH - 5}]

    found = figures(*times)

    assert (found.queue_seconds.p50, found.queue_seconds.counted) == (40.0, 1)
    assert (found.run_seconds.p50, found.run_seconds.counted) == (10.0, 1)


def test_success_counts_cancelled_jobs_as_ended_and_running_ones_not_at_all():
    states = ["completed"] * 3 + ["failed", "cancelled", "running", "pending", "unknown"]

    found = figures(*({"state": each} for each in states))

    assert (found.success, found.success_without_cancelled) == (60.0, 75.0)
    assert found.states == {"completed": 3, "cancelled": 1, "failed": 1, "pending": 1, "running": 1, "unknown": 1}
    assert found.running == 1


def test_a_job_whose_outcome_is_not_known_counts_its_run_time_only():
    found = figures(ran(50, "unknown"), ran(10), ran(70, "running"))

    assert (found.run_seconds.counted, found.run_seconds.largest, found.success) == (2, 50.0, 100.0)


def test_gpu_hours_are_gpus_by_run_time_of_what_ended():
    found = figures(
        ran(3600, gpus=4),
        ran(1800, "failed", gpus=2),
        ran(3600, "cancelled", gpus=1),
        ran(7200, gpus=1, gpu_share=0.25),
        ran(3600, "running", gpus=8),
        ran(3600),
    )

    assert (found.gpu_hours, found.cancelled_gpu_hours) == (6.5, 1.0)
    assert any("1 job with no GPU count" in each for each in found.notices)


def test_shares_by_gpus_and_nodes_are_of_the_jobs_that_have_them_on_record():
    found = figures(*({"gpus": gpus, "nodes": nodes} for gpus, nodes in ((1, 1), (1, 1), (8, 2), (0.5, None), (None, 1))))

    assert found.gpu_counts == {"1": 50.0, "0.5": 25.0, "8": 25.0}
    assert found.multi_node == 25.0


def test_figures_by_type_and_by_class():
    rows = [
        ran(100, name="my-eval", job_class="gpu", gpus=1, queue_seconds=5),
        ran(200, "failed", name="eval_2", job_class="gpu", gpus=3, queue_seconds=15),
        ran(900, name="qlora-7b", job_class="long", gpus=8),
        ran(10, name="zzz"),
    ]
    found = figures(*rows)

    first = found.by_type[0]
    assert [(each.job_type, each.jobs, each.share) for each in found.by_type] == [
        ("eval", 2, 50.0),
        ("other", 1, 25.0),
        ("sft_qlora", 1, 25.0),
    ]
    assert (first.run_seconds.p50, first.queue_seconds.p50, first.gpus.p50, first.success) == (150.0, 10.0, 2.0, 50.0)
    assert first.gpu_hours == pytest.approx((100 + 600) / 3600)
    assert [(each.name, each.jobs, each.run_seconds.p50) for each in found.by_class] == [("gpu", 2, 150.0), ("long", 1, 900.0)]


def test_labels_that_count_as_one_type_are_taken_together():
    rules = JobTypeRules(
        rules=(
            JobTypeRule(type="Pretrain", counts_as="full", name=("pre",)),
            JobTypeRule(type="Midtrain", counts_as="full", name=("mid",)),
        )
    )
    found = figures(ran(10, name="pre-1"), ran(30, name="mid-1"), ran(50, job_type="eval"), rules=rules)

    assert {each.job_type: each.counts_as for each in found.by_type} == {"Pretrain": "full", "Midtrain": "full", "eval": "eval"}
    assert [(each.job_type, each.jobs, each.run_seconds.p50) for each in found.by_profile_type] == [
        ("full", 2, 20.0),
        ("eval", 1, 50.0),
    ]


def test_failure_causes_rank_by_lost_gpu_time():
    rows = [
        ran(3600, "failed", gpus=1, exit_code=1),
        ran(3600, "failed", gpus=1, exit_code=2),
        ran(3600, "failed", gpus=1, exit_code=1, reason="RuntimeError: CUDA out of memory. zebra-7731"),
        ran(3600, "node_failure", gpus=16),
        ran(3600, "cancelled", gpus=64),
    ]
    found = figures(*rows)

    assert [(each.cause.value, each.jobs, each.share, each.lost_gpu_hours) for each in found.causes] == [
        ("node_failure", 1, 25.0, 16.0),
        ("user_code_error", 2, 50.0, 2.0),
        ("gpu_out_of_memory", 1, 25.0, 1.0),
    ]
    assert found.causes[0].lost_share == pytest.approx(100 * 16 / 19)
    assert [each.evidence for each in found.causes] == [
        ("state NODE_FAILURE",),
        ("exit code 1", "exit code 2"),
        ("CUDA out of memory",),
    ]
    assert "zebra" not in found.model_dump_json()


def test_the_share_of_resumed_runs_is_of_started_jobs_and_none_where_the_source_cannot_tell():
    rows = [{"restarts": 2}, {"restarts": 0}, {"restarts": 0, "state": "failed"}, {"restarts": 0, "state": "pending"}]

    assert figures(*rows).resumed == pytest.approx(100 / 3)
    assert figures({}).resumed is None


def test_an_earlier_attempt_counts_as_lost_gpu_time_and_not_as_a_job():
    found = figures(ran(3600, gpus=1, restarts=1), ran(7200, "requeued", gpus=1, part="attempt"))

    assert (found.jobs, found.success, found.resumed, found.gpu_hours) == (1, 100.0, 100.0, 3.0)
    assert [(each.cause.value, each.jobs, each.lost_gpu_hours) for each in found.causes] == [("unknown", 1, 2.0)]


def test_checkpoints_data_sizes_and_lengths_where_they_are_known():
    rows = [{"checkpoint_seconds": 600, "dataset_samples": 100}, {"checkpoint_seconds": 1200, "sequence_tokens": 2048}, {}]

    found = figures(*rows)

    assert (found.checkpoint_interval_seconds.p50, found.checkpoint_interval_seconds.counted) == (900.0, 2)
    assert (found.dataset_samples.p50, found.sequence_tokens.p50) == (100.0, 2048.0)
    assert (found.checkpoint_bytes, found.dataset_bytes) == (None, None)


def test_the_window_ends_now_when_records_are_recent():
    found = figures(*({"submitted": EPOCH - days * DAY} for days in (0.5, 5, 29, 31)), days=30)

    assert (found.jobs, found.window.first, found.window.last) == (3, date(2026, 10, 26), date(2026, 11, 24))
    assert not any("window ends there" in each for each in found.notices)


def test_the_window_ends_with_the_newest_record_of_a_historical_source():
    found = figures(*({"submitted": EPOCH - days * DAY} for days in (100, 110, 140)), days=30)

    assert (found.jobs, found.window.last) == (2, date(2026, 8, 16))
    assert any("the window ends there" in each for each in found.notices)


def test_times_that_are_no_dates_have_a_window_without_days():
    source = a_source(*({"submitted": seconds} for seconds in (0.0, 10 * DAY, 100 * DAY)), dated=False)

    found = measure([source], now=NOW, days=95)

    assert (found.jobs, found.window.days, found.window.first) == (2, 90, None)


def test_several_sources_are_one_measurement():
    found = measure([a_source(ran(10), kind="sacct"), a_source(ran(30), kind="own")], now=NOW)

    assert (found.sources, found.jobs, found.run_seconds.p50) == (("sacct", "own"), 2, 20.0)


def test_names_that_no_rule_knows_are_listed_by_their_shape():
    names = ["zorp-17", "zorp-4", "0f3c9a7e-1b2d-4c5e-8f90-a1b2c3d4e5f6", None]

    found = figures(*({"name": each} for each in names))

    assert [(each.pattern, each.jobs) for each in found.unclassified] == [("zorp-#", 2), ("#", 1), ("(no name)", 1)]


def test_rows_that_cannot_be_read_are_counted():
    source = a_source({}, {"unreadable": True}, skipped_rows=2)

    found = measure([source], now=NOW)

    assert (found.jobs, found.skipped_rows) == (1, 3)


@pytest.mark.parametrize("rows", [(), ({"part": "attempt"},), ({"unreadable": True},)])
def test_a_source_without_a_job_is_an_error_that_names_it(rows):
    with pytest.raises(InvalidInput, match=r"jobs\.txt holds no job"):
        measure([a_source(*rows, name="jobs.txt")], now=NOW)
