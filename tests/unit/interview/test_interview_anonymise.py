"""No word that anyone wrote survives `anonymised`, in a profile or in anything that is made of it."""

import io
import json

from factories import a_profile
from intramural.domain.answers import Provenance
from intramural.domain.profile import FIELDS, Profile
from intramural.interview import profile_file
from intramural.interview.anonymise import anonymised
from intramural.interview.portfolio import summarise
from intramural.interview.portfolio_files import without_names
from intramural.interview.portfolio_rows import as_csv, as_parquet, rows_of
from portfolio_world import CANARY, a_traceable_profile


def test_the_canary_is_in_every_place_that_takes_words():
    """The attack is as wide as the profile: each field that takes words, on each side, and the profile's own."""
    document = a_traceable_profile().document()

    for field in FIELDS:
        section, _, name = field.path.partition(".")
        sides = document[section][name]
        assert all(CANARY in sides[each]["source"] for each in Provenance)
        takes_words = getattr(field.kind, "open", False) or getattr(getattr(field.kind, "keys", None), "open", False)
        if takes_words or type(field.kind).__name__ == "Text":
            assert all(CANARY in json.dumps(sides[each]["value"]) for each in Provenance), field.path
    assert all(CANARY in document[each] for each in ("name", "respondent", "notes"))


def test_no_word_of_anyones_own_is_left_in_a_profile():
    bare = anonymised(a_traceable_profile())

    assert CANARY not in profile_file.write(bare)
    assert CANARY not in repr(bare)
    assert (bare.name, bare.respondent, bare.notes, bare.interviewed) == ("", "", "", None)


def test_no_word_of_anyones_own_is_left_in_a_summary_or_a_table():
    profiles = without_names([a_traceable_profile(), a_profile()])

    assert CANARY not in summarise(profiles, anonymous=True).model_dump_json()
    rows = rows_of(profiles)
    assert CANARY not in json.dumps(rows)
    assert CANARY.encode() not in as_csv(rows)
    import polars  # noqa: PLC0415 - for one test

    assert CANARY not in polars.read_parquet(io.BytesIO(as_parquet(rows))).write_json()


def test_what_was_chosen_or_counted_is_kept():
    profile = a_profile(anatomy__pains=["cost", "our old cluster", "setup", "the coffee"], governance__regions=["eu-x", "eu-y"])

    bare = anonymised(profile, name="profile 0001")

    assert bare.anatomy.pains.value == ("cost", "other", "setup")
    assert bare.anatomy.success_rate == profile.anatomy.success_rate
    assert bare.governance.regions.value == ("other 1", "other 2")
    assert bare.stack.cuda.best is None
    assert bare.name == "profile 0001"


def test_shares_of_own_words_are_added_up():
    bare = anonymised(
        a_profile(anatomy__job_mix={"dev": "50%", "acme nightly": "~20%", "acme weekly": "10-20%", "other": "10%"})
    )

    (key, other) = list(bare.anatomy.job_mix.value.parts.items())[1]
    assert (key, other.low, other.high, other.approximate) == ("other", 40, 50, True)


def test_two_spreads_of_own_words_have_no_common_median():
    spread = {"p50": "1 h", "p90": "2 h"}
    bare = anonymised(a_profile(anatomy__run_time={"eval": spread, "acme a": spread, "acme b": spread}))

    assert set(bare.anatomy.run_time.value.by) == {"eval", "other"}
    assert bare.anatomy.run_time.value.by["other"].p50 is None


def test_an_unknown_stays_an_unknown_and_dates_go():
    window = {"days": 90, "first": "2026-08-04", "last": "2026-11-01"}
    bare = anonymised(
        a_profile(anatomy__success_rate={"asked": {"value": "unknown"}, "measured": {"value": "61%", "window": window}})
    )

    assert bare.anatomy.success_rate.asked.value is None
    assert (bare.anatomy.success_rate.measured.window.days, bare.anatomy.success_rate.measured.window.first) == (90, None)


def test_an_anonymised_profile_reads_back_as_it_was_written(tmp_path):
    for number, profile in enumerate(without_names([a_traceable_profile(), a_profile(), Profile()])):
        path = tmp_path / f"{number}.yaml"
        profile_file.save(path, profile)

        assert profile_file.load(path) == profile


def test_the_order_of_anonymised_profiles_does_not_follow_that_of_the_names():
    first, second = a_profile(name="Aardvark"), a_profile(name="Zebra", anatomy__success_rate="12%")

    assert without_names([first, second]) == without_names([second, first])
