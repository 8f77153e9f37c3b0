import pytest

from intramural.domain.findings import Provenance
from intramural.intake.provenance import Origins, licence_of


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("apache-2.0", "Apache-2.0"),
        ("Apache License 2.0", "Apache-2.0"),
        ("CC BY-NC-SA 4.0", "CC-BY-NC-SA-4.0"),
        ("https://creativecommons.org/licenses/by-sa/3.0/", "CC-BY-SA-3.0"),
        ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ("mit", "MIT"),
        ("LicenseRef-Alice-Hollis", None),
        ("ask Alice Hollis", None),
        ("", None),
        ("(" * 5000, None),
    ],
)
def test_only_what_spdx_lists_is_a_licence(written, found):
    assert licence_of(written) == found


def test_an_owner_may_name_a_licence_of_their_own():
    assert licence_of("LicenseRef-Acme", own=True) == "LicenseRef-Acme"


def test_licences_and_origins_are_counted_without_what_they_hold():
    origins = Origins()
    for row in (
        {"prompt": "q", "license": "mit", "Source": "a letter of Alice Hollis"},
        {"prompt": "q", "meta": {"licence": "cc-by-4.0", "url": "https://x", "other": 1}},
        {"prompt": "q", "license": "Alice's own"},
        {"prompt": "q", "license": "", "author": None},
        {"prompt": "q", "license": ["mit"]},
    ):
        origins.note(row)

    assert origins.provenance() == Provenance(
        fields={"license": 3, "meta.licence": 1, "meta.url": 1, "source": 1},
        licences={"MIT": 1, "CC-BY-4.0": 1},
        unknown_licences=2,
        without_licence=1,
    )


def test_parts_add_up_to_the_whole():
    one, other, whole = Origins(), Origins(), Origins()
    for part, row in ((one, {"license": "mit"}), (one, {"license": "x"}), (other, {"license": "mit"}), (other, {"a": 1})):
        part.note(row)
    whole.add(one.provenance(), 2)
    whole.add(other.provenance(), 2)

    assert whole.provenance() == Provenance(fields={"license": 3}, licences={"MIT": 2}, unknown_licences=1, without_licence=1)
