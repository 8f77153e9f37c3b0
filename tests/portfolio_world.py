"""Many profiles for tests: varied, and the same for the same seed."""

import random

from factories import a_profile
from intramural.domain import profile_choices as choices
from intramural.domain.profile import FIELDS, Profile
from intramural.interview import profile_file

CANARY = "CANARY"


def keys(offered):
    return [each.key for each in offered]


def some(chance, offered, most=4):
    return chance.sample(keys(offered), chance.randint(1, min(most, len(offered))))


def shares(chance, names):
    """Shares of *names* that add up to 100 %."""
    cuts = sorted(chance.sample(range(1, 100), len(names) - 1))
    return {name: f"{high - low}%" for name, low, high in zip(names, [0, *cuts], [*cuts, 100], strict=True)}


def spread(chance, unit):
    p50 = chance.randint(1, 40)
    return {"p50": f"{p50} {unit}", "p90": f"{p50 * chance.randint(1, 6)} {unit}"}


def a_varied_profile(number):
    """The profile of one of many organisations; about a tenth of the answers is unknown, another tenth a measurement."""
    chance = random.Random(number)  # noqa: S311 - the same profiles every time
    changes = {
        "name": f"Organisation {number}",
        "context__organisation": chance.choice(keys(choices.ORGANISATIONS)),
        "context__people": str(chance.randint(1, 400)),
        "anatomy__job_mix": shares(chance, some(chance, choices.JOB_TYPES, 5)),
        "anatomy__gpu_count": shares(chance, chance.sample(["1", "2", "4", "8"], 2)),
        "anatomy__run_time": {each: spread(chance, "h") for each in some(chance, choices.JOB_TYPES)},
        "anatomy__queue_time": {each: spread(chance, "min") for each in some(chance, choices.JOB_CLASSES)},
        "anatomy__pains": some(chance, choices.PAINS),
        "anatomy__success_rate": f"{chance.randint(40, 99)}%",
        "anatomy__dataset_size": f"{chance.randint(1, 900)} GB",
        "anatomy__checkpoint_interval": f"{chance.randint(5, 90)} min",
        "stack__frameworks": some(chance, choices.FRAMEWORKS),
        "stack__internet": chance.choice(["yes", "no"]),
        "governance__isolation": chance.choice(keys(choices.ISOLATION)),
        "governance__encryption": chance.choice(["yes", "no"]),
        "governance__store_prompts": chance.choice(keys(choices.STORING)),
        "operations__spot": chance.choice(keys(choices.SPOT)),
        "governance__contents": some(chance, choices.CONTENTS),
        "governance__region_lock": chance.choice(["yes", "no"]),
        "governance__customer_keys": chance.choice(["yes", "no"]),
        "workflow__tracking": some(chance, choices.TRACKERS, 2),
        "workflow__registry": some(chance, choices.REGISTRIES, 2),
    }
    for name in list(changes)[4:]:
        draw = chance.random()
        if draw < 0.1:
            changes[name] = "unknown"
        elif draw < 0.2:
            about = {"confidence": "exact", "source": "sacct", "window": {"days": 90}}
            changes[name] = {"asked": {"value": "unknown"}, "measured": {"value": changes[name], **about}}
    return a_profile(**changes)


def write_profiles(folder, count):
    """Write *count* varied profiles below *folder*, as many interviews leave them."""
    for number in range(count):
        path = folder / f"org-{number:04d}" / "profile.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(profile_file.write(a_varied_profile(number)))
    return folder


def a_traceable_profile(word=CANARY):
    """A profile with *word* in every place that takes words: names, notes, sources, own words, keys of tables."""
    document = a_profile(name=f"{word} name", respondent=f"{word} respondent", notes=f"{word} notes").document()
    for field in FIELDS:
        section, _, name = field.path.partition(".")
        value = _traceable(field.kind, word) or document[section][name]
        about = {"confidence": "exact", "source": f"{word} source"}
        sides = ("asked", "measured", "imported", "estimated")
        document[section][name] = {side: {"value": value, **about} for side in sides}
    return Profile.model_validate(document)


def _traceable(kind, word):
    """An answer of *kind* with *word* in it; none where the kind takes no words."""
    name = type(kind).__name__
    if name == "Text":
        return f"{word} words"
    if name == "SomeOf":
        known = keys(kind.choices)[:1]
        return [f"{word}.example", *known, f"{word}-2"] if kind.open else None
    opens = getattr(getattr(kind, "keys", None), "open", False)
    if name == "Parts" and opens:
        return {f"{word} part": "40%", f"{word} part 2": "20%", keys(kind.keys.choices)[0]: "40%"}
    if name == "SpreadsBy" and opens:
        return {f"{word} type": {"p50": "1 h", "p90": "2 h"}, f"{word} type 2": {"p50": "2 h", "p90": "3 h"}}
    return None
