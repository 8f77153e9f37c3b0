"""
Ctrl-C while something is followed: noted at once, obeyed at the next pause.

Raised wherever the signal happens to come, the exception is lost now and then: a library
that asks whether a value is an instance of a class may take it for a no.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interruptible() -> Iterator[Callable[[float], None]]:
    """Yield `pause(seconds)`, which raises `KeyboardInterrupt` once Ctrl-C was pressed; pressed twice, it is raised at once."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler or not _is_main_thread():
        yield time.sleep  # started to ignore it, or met by somebody else
        return
    pressed, press = os.pipe()
    times = 0

    def noted(_number: int, _frame: Any) -> None:
        nonlocal times
        times += 1
        if times > 1:
            raise KeyboardInterrupt
        os.write(press, b"\0")

    def pause(seconds: float) -> None:
        if select.select([pressed], [], [], seconds)[0]:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, noted)
    try:
        yield pause
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.close(pressed)
        os.close(press)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
