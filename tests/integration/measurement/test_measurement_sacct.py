"""Text of `sacct -P` as it is found: any columns, steps, attempts, odd states, broken rows, packed files."""

import gzip

import pytest

from intramural.errors import InvalidInput

HEADER = "JobID|JobName|Partition|State|ExitCode|Submit|Start|End|ElapsedRaw|NNodes|AllocTRES"


def line(job, state="COMPLETED", *, name="eval-1", minute=0, run=60, gpus=1, exit_code="0:0", **more):
    start, end = more.get("start", f"2026-11-01T10:{minute:02}:10"), more.get("end", "2026-11-01T12:00:00")
    tres = more.get("tres", f"cpu=4,gres/gpu={gpus},node=1")
    return f"{job}|{name}|gpu|{state}|{exit_code}|2026-11-01T10:{minute:02}:00|{start}|{end}|{run}|1|{tres}"


def text(*lines, header=HEADER):
    return "\n".join([header, *lines]) + "\n"


def test_steps_are_no_jobs_and_tell_that_memory_ran_out(measured_text):
    found = measured_text(
        text(line(1, "FAILED", exit_code="1:0"), line("1.batch", "OUT_OF_MEMORY"), line(2), line("2.batch"), line("2.extern"))
    )

    assert found.states == {"completed": 1, "out_of_memory": 1}
    assert [each.cause.value for each in found.causes] == ["host_out_of_memory"]


@pytest.mark.parametrize("newest_first", [False, True])
def test_neighbouring_records_of_a_job_are_its_attempts(measured_text, newest_first):
    attempts = [
        line(7, "PREEMPTED", minute=0, run=3600, gpus=2),
        line(7, "NODE_FAIL", minute=5, run=1800, gpus=2),
        line(7, minute=9, run=7200, gpus=2),
    ]
    found = measured_text(text(line(6), *(reversed(attempts) if newest_first else attempts), line(8)))

    assert (found.jobs, found.states, found.success) == (3, {"completed": 3}, 100.0)
    assert found.resumed == pytest.approx(100 / 3)
    assert found.gpu_hours == pytest.approx(2 / 60 + 2 + 1 + 4)
    assert {each.cause.value: each.lost_gpu_hours for each in found.causes} == {"preempted": 2.0, "node_failure": 1.0}
    assert any("2 earlier attempts" in each for each in found.notices)


def test_without_duplicates_no_resume_rate_is_claimed(measured_text):
    found = measured_text(text(line(1), line(2)))

    assert found.resumed is None
    assert any("--duplicates" in each for each in found.notices)


def test_states_of_every_kind(measured_text):
    states = ["COMPLETED", "FAILED", "TIMEOUT", "DEADLINE", "NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "OUT_OF_MEMORY"]
    states += ["OUT_OF_ME+", "REQUEUED", "SUSPENDED", "CANCELLED by 1000", "CANCELLED+", "PENDING"]
    rows = [line(number, state) for number, state in enumerate(states)]

    assert measured_text(text(*rows)).states == {
        "cancelled": 2,
        "node_failure": 2,
        "out_of_memory": 2,
        "time_limit": 2,
        "completed": 1,
        "failed": 1,
        "pending": 1,
        "preempted": 1,
        "requeued": 1,
        "running": 1,
    }


def test_a_running_job_is_counted_and_not_timed(measured_text):
    found = measured_text(text(line(1, run=100), line(2, "RUNNING", end="Unknown", run=9999)))

    assert (found.jobs, found.running, found.run_seconds.counted, found.queue_seconds.counted) == (2, 1, 1, 2)
    assert found.success == 100.0
    assert any("right-censored" in each for each in found.notices)


def test_a_job_cancelled_before_it_started_has_no_run_time(measured_text):
    found = measured_text(text(line(1), line(2, "CANCELLED by 5", start="Unknown", run=0, tres="")))

    assert (found.run_seconds.counted, found.success, found.success_without_cancelled) == (1, 50.0, 100.0)


def test_gpus_by_type_and_components_of_a_heterogeneous_job(measured_text):
    found = measured_text(
        text(
            line(1, tres="cpu=1,gres/gpu=4,gres/gpu:a100=4"),
            line(2, tres="cpu=1,gres/gpu:a100=2,gres/gpu:v100=1"),
            line(3, tres="cpu=1,mem=2G"),
            line("4+0", tres="gres/gpu=1", run=3600),
            line("4+1", tres="gres/gpu=1", run=3600),
        )
    )

    assert found.gpu_counts == {"0": 25.0, "1": 25.0, "3": 25.0, "4": 25.0}
    assert found.jobs == 4
    assert found.gpu_hours == pytest.approx(7 / 60 + 2)


def test_arrays_are_a_job_each_and_any_order_and_subset_of_columns_is_read(measured_text):
    rows = ["COMPLETED|1-00:00:01|9_1", "FAILED|02:03|9_2", "COMPLETED|00:00:10.5|9_[3-7%2]"]

    found = measured_text(text(*rows, header="State|Elapsed|JobID"))

    assert (found.jobs, found.run_seconds.largest, found.run_seconds.p50) == (3, 86401.0, 123.0)
    assert any("no column for queue times, GPUs" in each for each in found.notices)


def test_rows_that_hold_no_record_are_counted_as_skipped(measured_text):
    rows = [line(1), line(2) + "|more", line(3, "NO_SUCH_STATE"), "", "4|cut", HEADER, line(5)]

    found = measured_text(text(*rows))

    assert (found.jobs, found.skipped_rows) == (2, 3)
    assert any("3 rows could not be read" in each for each in found.notices)


@pytest.mark.parametrize("ending", ["\r\n", "|\n"], ids=["Windows", "sacct -p"])
def test_line_ends_of_other_systems_and_of_dash_p(measured_text, ending):
    assert measured_text(text(line(1), line(2)).replace("\n", ending)).states == {"completed": 2}


def test_a_packed_file_and_bytes_that_are_no_text(measured_text):
    body = text(line(1, name="eval")).encode() + line(2).encode().replace(b"eval", b"ev\xff\xfel")

    assert measured_text(gzip.compress(body)).jobs == measured_text(body).jobs == 2


def test_times_as_numbers_of_seconds(measured_text):
    rows = ["1|COMPLETED|1790000000|1790000060|1790000120"]

    found = measured_text(text(*rows, header="JobID|State|Submit|Start|End"))

    assert (found.queue_seconds.p50, found.run_seconds.p50) == (60.0, 60.0)


def test_only_the_window_counts_and_the_rest_is_named(measured_text):
    old = line(1).replace("2026-11-01", "2026-01-01")

    found = measured_text(text(old, line(2)), days=30)

    assert (found.jobs, str(found.window.first)) == (1, "2026-11-01")
    assert any("1 job older than the window is left out" in each for each in found.notices)


def test_a_historical_export_ends_its_own_window(measured_text):
    found = measured_text(text(*(line(each).replace("2026", "2020") for each in (1, 2))), days=30)

    assert found.jobs == 2
    assert any("2020-11-01" in each for each in found.notices)


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ("JobID    JobName\n-------- --------\n1        a\n", "padded columns", "sacct -P"),
        ("1|eval|gpu|COMPLETED\n", "no header line", "--noheader"),
        (HEADER + "\n", "holds no job", "only steps"),
        ("  \n", "is empty", "Export"),
        ("%PDF-1.7 no records", "is a PDF", "sacct -P"),
        ('{"some": "document"}', "is JSON", "sacct --json"),
        ("Dear all,\nplease find attached\n", "no job records", "sacct -P"),
        ("a,b\n1,2\n", "do not say what they are: `a`, `b`", "--mapping"),
        (text("1|eval|gpu|NO_STATE|0:0|x|x|x|1|1|"), "holds no job .1 rows cannot be read", "steps"),
    ],
)
def test_what_is_no_export_is_named_with_the_nearest_choice(measured_text, body, message, hint):
    with pytest.raises(InvalidInput, match=message) as refused:
        measured_text(body)

    assert hint in refused.value.hint
