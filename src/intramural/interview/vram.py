"""The tiers in which GPUs are sold, by their memory."""

from __future__ import annotations

from intramural.domain.one_page import Figure

TIERS_GB = (16, 24, 40, 48, 80, 141)
"""The last stands for 141 GB and more."""

_GIB_OVER_GB = 1.0738
"""Cards are named in GB and hold about as many GiB, so that `80 GiB` fits an 80 GB card."""


def tier_gb(need_bytes: float) -> int:
    """Return the smallest tier that holds *need_bytes*; the last one for anything larger."""
    return next((tier for tier in TIERS_GB if need_bytes <= tier * 1e9 * _GIB_OVER_GB), TIERS_GB[-1])


def tier_text(need: Figure) -> str:
    """Return the tier that a need asks for, with the need: `80 GB tier (needs 60 GB)`."""
    largest = need.high if need.high is not None else need.low
    tier = tier_gb(largest or 0.0)
    name = f"{tier}+ GB" if tier == TIERS_GB[-1] else f"{tier} GB"
    return name if need.text == name else f"{name} (needs {need.text})"
