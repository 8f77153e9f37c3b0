"""
Which segments a profile belongs to, and for whom a constraint is a must.

Both are read from answers alone: what nobody answered puts a profile in no segment and makes
nothing a must.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from intramural.domain.portfolio import Segment
from intramural.domain.profile import Profile

REGULATED_CONTENTS = {"phi", "financial"}
"""What the guide calls regulated data."""


def segments_of(profile: Profile) -> frozenset[Segment]:
    """Return the segments of *profile*: at most one by size, and at most one by regulation."""
    size = profile.context.organisation.value
    regulated = is_regulated(profile)
    found = {Segment(size)} if size else set()
    if regulated is not None:
        found.add(Segment.REGULATED if regulated else Segment.NOT_REGULATED)
    return frozenset(found)


def is_regulated(profile: Profile) -> bool | None:
    """Tell whether the data is regulated; none when that is not known.

    Health or financial data, data that must stay in a region, and keys that the customer holds each say so.
    Nothing but what is inside the data can say that it is not.
    """
    asked = profile.governance
    contents = asked.contents.value
    signs = [None if contents is None else bool(REGULATED_CONTENTS & set(contents)), asked.region_lock.value]
    signs.append(False if asked.encryption.value is False else asked.customer_keys.value)
    if any(signs):
        return True
    return None if contents is None else False


@dataclass(frozen=True)
class Constraint:
    """A requirement that an answer states."""

    key: str
    label: str
    path: str
    is_must: Callable[[Any], bool]
    """Tells from a known answer whether it is a must."""
    unless_no: str | None = None
    """The question whose `no` means that this is none, although nobody asked."""


CONSTRAINTS = (
    Constraint("region_lock", "Region lock", "governance.region_lock", bool),
    Constraint("dedicated_node", "Dedicated node", "governance.isolation", lambda given: given == "dedicated_node"),
    Constraint(
        "dedicated_project",
        "Dedicated project/network",
        "governance.isolation",
        lambda given: given == "dedicated_project",
    ),
    Constraint("no_internet", "No internet for jobs", "stack.internet", lambda given: not given),
    Constraint("encryption", "Encryption at rest", "governance.encryption", bool),
    Constraint("customer_keys", "Customer-held keys", "governance.customer_keys", bool, unless_no="governance.encryption"),
    Constraint("audit_logs", "Access audit log", "governance.audit_logs", bool),
    Constraint(
        "data_retention", "Data kept for a limited time", "governance.data_retention", lambda given: given.high is not None
    ),
    Constraint("prompts_never_stored", "Prompts never stored", "governance.store_prompts", lambda given: given == "no"),
    Constraint("vm", "A virtual machine", "stack.container", lambda given: given == "vm"),
    Constraint("no_spot", "No spot machines", "operations.spot", lambda given: given == "no"),
    Constraint("onboarding", "Onboarding", "operations.onboarding", bool),
)
"""What counts as a must-have, and from which answer."""
