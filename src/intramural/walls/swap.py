"""Whether this machine writes memory to swap, where it would lie in clear."""

from __future__ import annotations

from pathlib import Path

SWAPS = Path("/proc/swaps")


def is_swap_on(swaps: Path = SWAPS) -> bool:
    """Tell whether the machine has swap in use now; a list that cannot be read is taken for one that names some."""
    try:
        listed = swaps.read_text().splitlines()[1:]
    except FileNotFoundError:
        return False  # a kernel without swap
    except OSError:
        return True
    return any(listed)
