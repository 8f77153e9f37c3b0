"""What a confinement may say, how levels compare, and which data a level is enough for."""

import pytest
from pydantic import ValidationError

from intramural.domain.confinement import Confinement, Destination, Level, Limits, check_level
from intramural.domain.dataset import Classification
from intramural.domain.receipt import Receipt
from intramural.errors import Refused


def test_levels_compare_by_firmness():
    assert Level.NONE < Level.LANDLOCK < Level.NAMESPACES
    assert max(Level.LANDLOCK, Level.NAMESPACES, Level.NONE) is Level.NAMESPACES
    assert Level.NAMESPACES >= Level.NAMESPACES
    assert Level.LANDLOCK <= Level.NAMESPACES
    assert Level.NAMESPACES > Level.LANDLOCK
    assert Level.NONE < "landlock"
    with pytest.raises(ValueError, match="moon"):
        assert Level.NONE < "moon"


@pytest.mark.parametrize("classification", list(Classification))
@pytest.mark.parametrize("level", list(Level))
def test_data_above_internal_needs_the_required_level(level, classification):
    if level is Level.NAMESPACES or classification in {Classification.PUBLIC, Classification.INTERNAL}:
        check_level(level, Level.NAMESPACES, classification)
        return
    with pytest.raises(Refused) as refused:
        check_level(level, Level.NAMESPACES, classification)
    assert refused.value.about["rule"] == "isolation.level"
    assert refused.value.hint


def test_a_lower_required_level_is_enough_when_the_policy_says_so():
    check_level(Level.LANDLOCK, Level.LANDLOCK, Classification.RESTRICTED)


@pytest.mark.parametrize("path", ["relative", "/", "//", "/etc", "/proc", "/a/../b", "/a/", "/a//b", ""])
def test_paths_are_absolute_and_leave_the_system_its_own(path):
    with pytest.raises(ValidationError):
        Confinement(read_only=(path,))


def test_what_is_read_only_does_not_lie_in_the_run_directory():
    Confinement(read_only=("/home/a",), run_directory="/home/a/runs/1")
    with pytest.raises(ValidationError):
        Confinement(read_only=("/home/a/runs/1/base",), run_directory="/home/a/runs/1")


@pytest.mark.parametrize(
    "host", ["1.2.3.4", "a.1", "A.example", "a..b", "-a.example", "a b", "::1", "*.example", "", "a" * 254, "0x7f000001"]
)
def test_a_destination_is_one_exact_name(host):
    with pytest.raises(ValidationError):
        Destination(host=host)


def test_a_destination_is_listed_once():
    twice = (Destination(host="a.example"), Destination(host="a.example", private=True))
    with pytest.raises(ValidationError):
        Confinement(egress=twice)


@pytest.mark.parametrize("device", ["/etc/passwd", "/dev/../etc", "nvidia0", "/dev/"])
def test_devices_lie_below_dev(device):
    with pytest.raises(ValidationError):
        Confinement(devices=(device,))


def test_limits_are_positive():
    with pytest.raises(ValidationError):
        Limits(memory_bytes=0)


def test_every_level_says_what_its_receipt_cannot_know():
    for level in Level:
        assert Receipt(level=level, began_at="2026-01-01T00:00:00Z").unseen
