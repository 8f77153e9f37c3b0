"""
What the records say of the pain points: each with its figures, supported, contradicted, or not measured.

    queue_time      supported when a class waits longer (p90) than its jobs may: `start_dev` for the class `dev`,
                    `start_training` for every other; contradicted when every class with a target keeps it
    out_of_memory   supported from 10 % of the failures on, contradicted below 2 %
    failures        supported below 90 % success, contradicted from 95 % on
    lost_work       supported when fewer than half as many runs resume as fail for no fault of their own,
                    contradicted when at least as many do
    slow_network    supported when network errors are 10 % of the failures or more; speed itself is not on record
    slow_storage    supported when full disks are 10 % of the failures or more; speed itself is not on record
    setup           supported when changed environments are 10 % of the failures or more
    evaluation      supported when less than 1 % of the jobs are evaluations

Nothing is on record about the others. A pain that nobody named and the records show comes after
those that were named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from intramural.domain.answer_kinds import SomeOf
from intramural.domain.answer_tables import Shares, Spreads
from intramural.domain.cause import Cause, is_lost
from intramural.domain.one_page import Pain, Support
from intramural.domain.profile import Profile, field_of
from intramural.domain.quantity import Dimension, Quantity, exactly
from intramural.interview.figures import shown, sides

MANY_FAILURES, FEW_FAILURES = 10.0, 2.0
LOW_SUCCESS, HIGH_SUCCESS = 90.0, 95.0
NO_EVALUATION = 1.0

Verdict = tuple[Support, str]


def pains(profile: Profile) -> tuple[Pain, ...]:
    """Return the pain points as they were ranked, then those that only the records show."""
    kind = cast(SomeOf, field_of("anatomy.pains").kind)
    named: tuple[str, ...] = profile.anatomy.pains.value or ()
    found = [_pain(profile, key, kind.label(key), rank) for rank, key in enumerate(named, start=1)]
    unnamed = [_pain(profile, key, kind.label(key), None) for key in _JUDGES if key not in named]
    return (*found, *(each for each in unnamed if each.support is Support.SUPPORTED))


def _pain(profile: Profile, key: str, label: str, rank: int | None) -> Pain:
    judge = _JUDGES.get(key)
    support, evidence = judge(profile) if judge else (Support.NO_MEASUREMENT, "nothing on record measures it")
    return Pain(key=key, label=label, rank=rank, support=support, evidence=evidence)


def _queue_time(profile: Profile) -> Verdict:
    waits: Spreads | None = _measured(profile, "anatomy.queue_time")
    longest = {key: each.p90 for key, each in waits.by.items() if each.p90} if waits else {}
    if not longest:
        return Support.NO_MEASUREMENT, "no queue time on record"
    words, kept = [], []
    for key, wait in longest.items():
        target: Quantity | None = profile.answers(f"operations.start_{'dev' if key == 'dev' else 'training'}").value
        if target is not None:
            allowed = target.high if target.high is not None else target.middle
            kept.append(wait.middle <= allowed)
            words.append(f"{key} waits {_time(wait)} (p90), may wait {_time(exactly(allowed))}")
    if not kept:
        each = ", ".join(f"{key} {_time(wait)}" for key, wait in longest.items())
        return Support.UNDECIDED, f"p90 wait: {each}; no target was told"
    return (Support.CONTRADICTED if all(kept) else Support.SUPPORTED), "; ".join(words)


def _out_of_memory(profile: Profile) -> Verdict:
    share = _share_of(profile, {Cause.GPU_MEMORY, Cause.HOST_MEMORY})
    if share is None:
        return Support.NO_MEASUREMENT, "no failure causes on record"
    support = (
        Support.SUPPORTED if share >= MANY_FAILURES else Support.CONTRADICTED if share < FEW_FAILURES else Support.UNDECIDED
    )
    return support, f"{_percent(share)} of the failures are out of memory"


def _failures(profile: Profile) -> Verdict:
    success: Quantity | None = _measured(profile, "anatomy.success_rate")
    if success is None:
        return Support.NO_MEASUREMENT, "no success rate on record"
    rate = success.middle
    support = Support.SUPPORTED if rate < LOW_SUCCESS else Support.CONTRADICTED if rate >= HIGH_SUCCESS else Support.UNDECIDED
    return support, f"{_percent(rate)} of the runs succeed"


def _lost_work(profile: Profile) -> Verdict:
    resumed: Quantity | None = _measured(profile, "anatomy.resume_rate")
    success: Quantity | None = _measured(profile, "anatomy.success_rate")
    share = _share_of(profile, {each for each in Cause if is_lost(each)} | {Cause.TIME_LIMIT})
    if resumed is None:
        return Support.NO_MEASUREMENT, "no resume rate on record"
    words = f"{_percent(resumed.middle)} of the runs were resumed"
    if success is None or share is None:
        return Support.UNDECIDED, words
    interrupted = (100 - success.middle) * share / 100
    words += f", {_percent(interrupted)} were cut short by a time limit or the machines"
    if interrupted < NO_EVALUATION or resumed.middle >= interrupted:
        return Support.CONTRADICTED, words
    return (Support.SUPPORTED if resumed.middle < interrupted / 2 else Support.UNDECIDED), words


def _by_cause(cause: Cause, words: str, without: str) -> Callable[[Profile], Verdict]:
    def judge(profile: Profile) -> Verdict:
        share = _share_of(profile, {cause})
        if share is None or share < MANY_FAILURES:
            return Support.NO_MEASUREMENT, without
        return Support.SUPPORTED, f"{_percent(share)} of the failures are {words}"

    return judge


def _evaluation(profile: Profile) -> Verdict:
    mix: Shares | None = _measured(profile, "anatomy.job_mix")
    if mix is None or mix.total is None:
        return Support.NO_MEASUREMENT, "no job mix on record"
    share = mix.parts.get("eval")
    amount = share.middle if share else 0.0
    return (
        Support.SUPPORTED if amount < NO_EVALUATION else Support.UNDECIDED
    ), f"{_percent(amount)} of the jobs are evaluations"


def _measured(profile: Profile, path: str) -> Any:
    answer = sides(profile.answers(path)).measured
    return answer.value if answer else None


def _share_of(profile: Profile, causes: set[Cause]) -> float | None:
    shares: Shares | None = _measured(profile, "anatomy.failure_causes")
    if shares is None or shares.total is None:
        return None
    return sum(each.middle for key, each in shares.parts.items() if each and key in causes)


def _percent(number: float) -> str:
    return shown(exactly(number), Dimension.PERCENT)


def _time(seconds: Quantity) -> str:
    return shown(seconds, Dimension.DURATION)


_JUDGES: dict[str, Callable[[Profile], Verdict]] = {
    "queue_time": _queue_time,
    "out_of_memory": _out_of_memory,
    "failures": _failures,
    "lost_work": _lost_work,
    "slow_network": _by_cause(Cause.NETWORK, "network errors", "the speed of the network is not on record"),
    "slow_storage": _by_cause(Cause.DISK_FULL, "full disks", "the speed of the storage is not on record"),
    "setup": _by_cause(Cause.DRIFT, "changed environments", "nothing on record measures it"),
    "evaluation": _evaluation,
}
