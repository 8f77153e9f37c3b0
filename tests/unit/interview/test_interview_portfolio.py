"""What many profiles say together: points, means, medians, must-haves and segments, each with its n."""

import pytest

from factories import a_measured_profile, a_profile
from intramural.domain.portfolio import Segment
from intramural.domain.profile import Profile
from intramural.errors import InvalidInput
from intramural.interview.portfolio import in_segments, summarise
from intramural.interview.portfolio_reading import quantile, typical
from intramural.interview.portfolio_rows import as_csv, as_parquet, rows_of
from intramural.interview.segments import segments_of

PAINS = "anatomy.pains"


def line(lines, key):
    return next(each for each in lines if each.key == key)


def ranking(profiles, path=PAINS):
    return next(each for each in summarise(profiles).all.rankings if each.path == path)


def mix(profiles, path="anatomy.job_mix"):
    return next(each for each in summarise(profiles).all.mixes if each.path == path)


def median(profiles, path, key=None, end=None):
    found = [each for each in summarise(profiles).all.medians if (each.path, each.key, each.end) == (path, key, end)]
    return found[0] if found else None


def must(profiles, key):
    return line(summarise(profiles).all.must_haves, key)


def test_pains_are_placed_by_borda_points():
    """Of ten choices the first gets ten points, the second nine; what is not named gets none."""
    pains = ranking(
        [a_profile(anatomy__pains=["cost", "queue_time"]), a_profile(anatomy__pains=["queue_time", "setup", "cost"])]
    )

    assert [(each.key, each.points, each.named_by, each.first_for) for each in pains.lines] == [
        ("queue_time", 19, 2, 1),
        ("cost", 18, 2, 1),
        ("setup", 9, 1, 0),
    ]
    assert pains.n == 2


def test_who_does_not_know_and_who_was_not_asked_are_not_in_n():
    pains = ranking([a_profile(anatomy__pains=["cost"]), a_profile(anatomy__pains="unknown"), a_profile(anatomy__pains=None)])

    assert (pains.n, pains.unknown) == (1, 1)


def test_a_part_that_a_profile_does_not_name_is_none_of_its_whole():
    jobs = mix(
        [a_profile(anatomy__job_mix={"sft_lora": "100%"}), a_profile(anatomy__job_mix={"sft_lora": "40%", "eval": "60%"})]
    )

    assert (line(jobs.lines, "sft_lora").percent, line(jobs.lines, "eval").percent) == (70, 30)
    assert (jobs.n, line(jobs.lines, "eval").named_by) == (2, 1)


def test_a_mix_without_figures_is_named_and_not_averaged():
    jobs = mix([a_profile(anatomy__job_mix="dev; eval"), a_profile(anatomy__job_mix={"dev": "100%"})])

    assert (jobs.n, jobs.without_figures) == (1, 1)
    assert (line(jobs.lines, "dev").percent, line(jobs.lines, "eval").percent) == (100, 0)


def test_shares_that_do_not_add_up_count_as_given_and_are_said():
    jobs = mix([a_profile(anatomy__job_mix={"dev": "90%", "eval": "30%"}), a_profile(anatomy__job_mix={"dev": "100%"})])

    assert (jobs.uneven, line(jobs.lines, "dev").percent) == (1, 95)


def test_a_median_is_of_the_best_answers_and_never_of_an_unknown():
    said_and_measured = {"asked": {"value": "95%"}, "measured": {"value": "61%", "source": "sacct"}}
    profiles = [a_profile(anatomy__success_rate=each) for each in ("80%", "90-100%", "unknown", said_and_measured)]

    rate = median(profiles, "anatomy.success_rate")

    assert (rate.median, rate.n, rate.measured, rate.unknown) == (80, 3, 1, 1)
    assert (rate.lower, rate.upper) == (70.5, 87.5)


def test_a_spread_has_a_median_for_each_type_and_end():
    profiles = [a_profile(anatomy__run_time={"eval": {"p50": hours, "p90": "9 h"}}) for hours in ("1 h", "2 h", "6 h")]

    assert median(profiles, "anatomy.run_time", "eval", "p50").median == 2 * 3600
    assert median(profiles, "anatomy.run_time", "eval", "p90").n == 3
    assert median(profiles, "anatomy.run_time", "dev", "p50") is None


def test_of_shares_by_a_number_the_middle_job_counts():
    gpus = [a_profile(anatomy__gpu_count={"1": "40%", "8": "60%"}), a_profile(anatomy__gpu_count={"1": "90%", "4": "10%"})]

    assert median(gpus, "anatomy.gpu_count").median == pytest.approx(4.5)


@pytest.mark.parametrize(("parts", "expected"), [("1/2/4/8", 2), ("1 0%; 8 0%", 1), ("8", 8), ("1 50%; 8 50%", 1)])
def test_the_middle_job_of_parts_with_and_without_figures(parts, expected):
    from intramural.domain.profile import field_of  # noqa: PLC0415 - for one test

    kind = field_of("anatomy.gpu_count").kind

    assert typical(kind.read(parts), kind.keys) == expected


def test_a_quantile_is_interpolated():
    assert [quantile([1.0, 2.0, 4.0, 8.0], share) for share in (0, 0.25, 0.5, 1)] == [1, 1.75, 3, 8]


def test_a_must_have_counts_those_who_require_it_of_those_who_answered():
    profiles = [a_profile(governance__region_lock=each) for each in ("yes", "no", "unknown", None)]

    lock = must(profiles, "region_lock")

    assert (lock.required, lock.n, lock.unknown) == (1, 2, 1)


def test_without_encryption_nobody_requires_keys_of_their_own():
    profiles = [a_profile(governance__encryption="no", governance__customer_keys=None), a_profile()]

    keys = must(profiles, "customer_keys")

    assert (keys.required, keys.n) == (1, 2)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"contents": ["phi"]}, {Segment.REGULATED}),
        ({"contents": ["ip"], "region_lock": "yes"}, {Segment.REGULATED}),
        ({"contents": ["pii"], "encryption": "yes", "customer_keys": "yes"}, {Segment.REGULATED}),
        ({"contents": ["ip", "pii"], "region_lock": "no"}, {Segment.NOT_REGULATED}),
        ({"contents": ["ip"]}, {Segment.NOT_REGULATED}),
        ({"contents": "unknown", "region_lock": "no"}, set()),
        ({}, set()),
    ],
)
def test_regulated_is_read_from_contents_region_and_keys(changes, expected):
    assert segments_of(Profile.model_validate({"governance": changes})) == expected


def test_segments_stand_beside_all_of_them():
    profiles = [a_profile(context__organisation=each) for each in ("solo", "solo", "enterprise", None)]

    found = summarise([*profiles, a_measured_profile()])

    counted = {each.segment: each.profiles for each in found.segments}
    assert counted == {Segment.SOLO: 2, Segment.ENTERPRISE: 1, Segment.REGULATED: 4}
    assert (found.profiles, found.without_size, found.without_regulation) == (5, 2, 1)


def test_only_profiles_in_every_named_segment_are_counted():
    solo = a_profile(context__organisation="solo")

    assert in_segments([solo, a_profile()], (Segment.SOLO, Segment.REGULATED)) == [solo]
    with pytest.raises(InvalidInput, match="None of the 1 profiles is solo and not_regulated"):
        in_segments([solo], (Segment.SOLO, Segment.NOT_REGULATED))


def test_an_empty_profile_says_nothing_and_breaks_nothing():
    found = summarise([Profile()])

    assert (found.all.rankings[0].n, found.all.medians, found.segments) == (0, (), ())


def test_a_row_has_the_number_in_its_base_unit_and_where_it_comes_from():
    measured = {"measured": {"value": "61%", "source": "sacct"}}
    (row, other) = rows_of(
        [a_profile(name="One", anatomy__success_rate=measured, anatomy__checkpoint_interval="30-60 min"), a_measured_profile()]
    )

    assert (row["anatomy.checkpoint_interval"], row["anatomy.checkpoint_interval.provenance"]) == (2700.0, "asked")
    assert (row["anatomy.success_rate"], row["anatomy.success_rate.provenance"]) == (61.0, "measured")
    assert (row["anatomy.run_time.eval.p90"], row["anatomy.job_mix.sft_lora"], row["anatomy.gpu_count.8"]) == (
        3600.0,
        55.0,
        40.0,
    )
    assert (row["anatomy.pains"], row["stack.qlora"]) == ("queue_time; out_of_memory; cost", True)
    assert (other["stack.qlora"], other["stack.qlora.provenance"]) == (None, None)
    assert list(row) == list(other)


def test_an_unknown_is_told_from_a_question_not_asked():
    (row,) = rows_of([a_profile(anatomy__success_rate="unknown")])

    assert (row["anatomy.success_rate"], row["anatomy.success_rate.provenance"]) == (None, "unknown")


def test_csv_and_parquet_hold_the_same_table():
    import io  # noqa: PLC0415

    import polars  # noqa: PLC0415

    rows = rows_of([a_profile(name="One"), a_measured_profile(name="Two")])

    from_csv, from_parquet = polars.read_csv(as_csv(rows)), polars.read_parquet(io.BytesIO(as_parquet(rows)))

    assert from_csv.columns == from_parquet.columns == list(rows[0])
    assert from_parquet.rows(named=True)[0]["anatomy.gpu_vram"] == 80e9
    assert from_csv["profile"].to_list() == ["One", "Two"]


def test_no_text_of_a_csv_is_a_formula():
    csv = as_csv(rows_of([a_profile(name="=cmd|' /C calc'!A0", respondent="@SUM(1)")])).decode()

    assert "'=cmd" in csv
    assert "'@SUM" in csv
