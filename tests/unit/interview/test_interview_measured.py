from datetime import date

import pytest

from intramural.domain.answers import Answer, Answers, Confidence, Provenance, Window
from intramural.domain.measurement import CauseFigures, ClassFigures, Measurement, Percentiles, TypeFigures
from intramural.domain.profile import Profile
from intramural.domain.quantity import exactly
from intramural.interview import profile_file
from intramural.interview.measured import answers_of, provenance_of, with_measurement

WINDOW = Window(days=90, first=date(2026, 8, 4), last=date(2026, 11, 2))


def spread(p50, p90, counted=10):
    return Percentiles(counted=counted, p50=p50, p90=p90)


def of_type(job_type, share, runs, queues):
    return TypeFigures(
        job_type=job_type,
        jobs=1,
        share=share,
        run_seconds=runs,
        queue_seconds=queues,
        gpus=spread(1, 8),
        success=61,
        gpu_hours=5,
    )


def of_class(name, jobs, queues):
    return ClassFigures(name=name, jobs=jobs, queue_seconds=queues, run_seconds=spread(1, 2))


def a_measurement(**fields):
    nothing = Percentiles(counted=0)
    defaults = {
        "sources": ("sacct",),
        "window": WINDOW,
        "jobs": 100,
        "states": {"completed": 61, "failed": 39},
        "running": 0,
        "run_seconds": nothing,
        "queue_seconds": nothing,
        "by_type": (),
        "by_class": (),
        "gpu_counts": {},
        "multi_node": None,
        "gpu_hours": 10.0,
        "success": None,
        "success_without_cancelled": None,
        "causes": (),
        "resumed": None,
    }
    return Measurement(**{**defaults, **fields})


def test_every_figure_becomes_an_answer_with_its_source_and_window():
    whole = a_measurement(
        by_type=(
            of_type("sft_lora", 60.004, spread(3600, 7200.04), spread(1, 2)),
            of_type("eval", 39.996, spread(60, 90), spread(1, 2)),
        ),
        by_class=(of_class("dev", 5, spread(12, 180)), of_class("gpu-a100", 9, spread(60, 600))),
        gpu_counts={"1": 52.0, "8": 48.0},
        multi_node=7.0,
        success=61.0,
        resumed=4.0,
        causes=(CauseFigures(cause="time_limit", jobs=3, share=100.0, lost_gpu_hours=1, lost_share=100),),
        checkpoint_interval_seconds=spread(600, 700),
        checkpoint_bytes=spread(1e9, 2e9),
        dataset_bytes=spread(4e9, 5e9),
        dataset_samples=spread(13_000, 14_000),
        sequence_tokens=spread(2048, 4096),
    )

    anatomy = with_measurement(Profile(), whole).document()["anatomy"]

    assert {name: each["measured"]["value"] for name, each in anatomy.items()} == {
        "job_mix": {"sft_lora": "60 %", "eval": "40 %"},
        "run_time": {"sft_lora": {"p50": "1 h", "p90": "2 h"}, "eval": {"p50": "1 min", "p90": "1.5 min"}},
        "queue_time": {"gpu-a100": {"p50": "1 min", "p90": "10 min"}, "dev": {"p50": "12 s", "p90": "3 min"}},
        "gpu_count": {"1": "52 %", "8": "48 %"},
        "multi_node": "7 %",
        "checkpoint_interval": "10 min",
        "checkpoint_size": "1 GB",
        "resume_rate": "4 %",
        "dataset_size": "4 GB",
        "samples": "13k",
        "sequence_length": 2048,
        "success_rate": "61 %",
        "failure_causes": {"time_limit": "100 %"},
    }
    answer = anatomy["success_rate"]["measured"]
    assert (answer["source"], answer["confidence"], answer["window"]["days"]) == ("sacct", "exact", 90)


def test_what_was_asked_is_not_touched_and_an_older_measurement_is_replaced():
    asked = Answer(value=exactly(95.0))
    old = Answer(value=exactly(50.0), confidence=Confidence.EXACT)
    profile = Profile(name="acme").with_answers("anatomy.success_rate", Answers(asked=asked, measured=old))

    after = with_measurement(profile, a_measurement(success=61.0))

    answers = after.answers("anatomy.success_rate")
    assert (answers.asked, answers.measured.value, after.name) == (asked, exactly(61.0), "acme")


def test_what_is_not_known_leaves_the_profile_as_it_was():
    assert with_measurement(Profile(name="acme"), a_measurement()) == Profile(name="acme")


@pytest.mark.parametrize(
    ("sources", "provenance"),
    [
        (("own", "sacct", "kubernetes"), Provenance.MEASURED),
        (("mlflow",), Provenance.IMPORTED),
        (("sacct", "table"), Provenance.IMPORTED),
    ],
)
def test_a_scheduler_measures_and_a_tracker_is_imported(sources, provenance):
    measured = a_measurement(sources=sources, success=61.0)

    assert provenance_of(measured) is provenance
    assert with_measurement(Profile(), measured).answers("anatomy.success_rate").by(provenance) is not None


def test_labels_of_a_rule_file_are_taken_together_where_the_figures_are():
    by_label = (of_type("Pretrain", 30.0, spread(10, 20), spread(1, 2)), of_type("full", 70.0, spread(30, 40), spread(1, 2)))
    together = (of_type("full", 100.0, spread(25, 38), spread(1, 2)),)

    answers = answers_of(a_measurement(by_type=by_label, by_profile_type=together))

    assert answers["anatomy.job_mix"].parts == {"full": exactly(100.0)}
    assert answers["anatomy.run_time"].by["full"].p50 == exactly(25.0)


def test_partitions_that_read_as_one_class_do_not_stand_in_each_others_way():
    classes = (of_class("train", 5, spread(1, 2, counted=5)), of_class("training", 9, spread(60, 600, counted=9)))

    answers = answers_of(a_measurement(by_class=classes))

    assert answers["anatomy.queue_time"].by["training"].p50 == exactly(60.0)


def test_time_in_the_queue_is_told_where_no_record_names_a_class():
    answers = answers_of(a_measurement(queue_seconds=spread(5, 9)))

    assert answers["anatomy.queue_time"].by["all jobs"].p90 == exactly(9.0)


def test_many_counts_of_gpus_are_told_in_ranges_and_a_part_of_a_gpu_as_one():
    counts = {
        "0.25": 10.0,
        "1": 10.0,
        "2": 10.0,
        **{str(n): 5.0 for n in (3, 5, 6, 7, 8, 9, 16, 24, 32, 64, 65, 100, 128, 129)},
    }

    parts = answers_of(a_measurement(gpu_counts=counts))["anatomy.gpu_count"].parts

    assert {key: share.low for key, share in parts.items()} == {
        "1": 20.0,
        "2": 10.0,
        "3": 5.0,
        "5 - 7": 15.0,
        "8": 5.0,
        "9 - 15": 5.0,
        "16": 5.0,
        "17 - 31": 5.0,
        "32": 5.0,
        "64": 5.0,
        "65 - 127": 10.0,
        "128": 5.0,
        "129 - 255": 5.0,
    }


def test_what_is_written_reads_back():
    many = {str(n): 5.0 for n in (1, 2, 3, 5, 6, 7, 8, 9, 16, 24)}
    classes = tuple(of_class(name, 5, spread(1.26, 2)) for name in ("d", "dev", "t4 small", "yes", "123"))

    profile = with_measurement(Profile(), a_measurement(gpu_counts=many, by_class=classes, success=100 / 3))

    from intramural.domain import strict_yaml  # noqa: PLC0415  beside its one use

    assert strict_yaml.read(profile_file.write(profile), Profile) == profile
