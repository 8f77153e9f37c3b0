"""Where a command gets its client, and how it makes sure that something works on the queue."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from intramural.cli import interrupts

if TYPE_CHECKING:
    from intramural.client.client import Client


def connect() -> Client:
    """Return the client of this machine's own platform, under INTRAMURAL_HOME."""
    gc.disable()  # what is imported stays: looking for garbage in it is a tenth of the start
    from intramural.app.memory import close_memory  # noqa: PLC0415 - keeps `--help` fast
    from intramural.app.open import open_client  # noqa: PLC0415 - as above

    gc.freeze()
    gc.enable()
    close_memory()
    interrupts.obey()
    client = open_client()
    interrupts.obey()
    return client


def wake_scheduler() -> None:
    """Start the scheduler of INTRAMURAL_HOME, or wake it when it rests."""
    from intramural.app.scheduler import ensure_scheduler  # noqa: PLC0415 - keeps `--help` fast
    from intramural.settings import load_settings  # noqa: PLC0415

    ensure_scheduler(load_settings().home)
