"""
Ctrl-C, in any command and at any moment: noted at once, obeyed where it tears nothing, and soon.

Raised wherever the signal happens to come, the exception does harm now and then: in the middle
of an import it leaves the lock of all imports held, on the way into a block or out of it half is
left behind, and a library that asks whether a value is an instance of a class takes it for a no.
So it is raised where none of that goes on, again where it was lost, and never into the cleaning
that it caused. A process that does not end so is ended.

This is the first that a command imports, before anything that takes time.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any

LOOK_SECONDS = 0.02
"""How often it is looked whether the exception can be raised now."""
IMPORT_SECONDS = 0.5
"""How long an import may still take,"""
GRACE_SECONDS = 2.0
"""and how long a statement, or the way into a block or out of it."""
LONGEST_SECONDS = 30.0
"""After which the process ends whatever it does; killed at any moment, it leaves nothing that is not swept."""
INTERRUPTED = 130

_IMPORTS = "<frozen importlib"
_STATEMENTS = f"{os.sep}sqlalchemy{os.sep}"
_WHOLE = frozenset(("__enter__", "__exit__", "__del__", "_execute_child"))
"""Functions that are left alone: half of one is a file, a lock or a process that nobody knows of."""
_MOST_CAUSES = 100


class Interrupted(KeyboardInterrupt):
    """
    Ctrl-C was pressed.

    A class of its own: where exactly `KeyboardInterrupt` comes out of an `exec` of text, as dataclasses do it, Python
    ends as if killed, whoever caught it since.
    """


class _Presses:
    """What is done about Ctrl-C while something goes on."""

    def __init__(self, longest_seconds: float | None) -> None:
        """With *longest_seconds* it is a whole process's, which ends after them and says nothing more of itself."""
        self.count = 0
        self.is_over = False
        """Whether it is ending anyway; nothing is raised then."""
        self.waits_for_pause = False
        self._pausing = self._noting = self._ends_late = False
        self._longest = longest_seconds
        self._since = 0.0

    def begin(self) -> None:
        """Note every press from now on."""
        signal.signal(signal.SIGINT, self._press)

    def end(self, then: Any = signal.default_int_handler) -> None:
        """Look no more; *then* is what becomes of further presses."""
        signal.signal(signal.SIGINT, then)
        if self.count:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_IGN)  # the last one may be on its way

    def pause(self, seconds: float) -> None:
        """Sleep; raise `KeyboardInterrupt` once Ctrl-C was pressed."""
        self._pausing = True
        try:
            if self.count and not self.is_over:
                raise Interrupted
            time.sleep(seconds)
        finally:
            self._pausing = False

    def _press(self, _number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self._noting:
            return  # the press that is being noted does the rest
        self._noting = True
        if self.is_over:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Python, ending, would let the next one kill it
        elif not self._since:
            self._since = time.monotonic()
            signal.signal(signal.SIGALRM, self._look)
            signal.setitimer(signal.ITIMER_REAL, LOOK_SECONDS, LOOK_SECONDS)
        if self._longest is not None and not self._ends_late:
            self._ends_late = True
            sys.unraisablehook = _nothing
            if "threading" in sys.modules:
                vars(sys.modules["threading"])["excepthook"] = _nothing
            _thread.start_new_thread(self._end_late, (self._longest,))
        self._noting = False
        self._look(0, frame)

    def _look(self, _number: int, frame: FrameType | None) -> None:
        """Raise `KeyboardInterrupt` if it may be raised at *frame*."""
        if self._noting or self.is_over or _is_under_way():
            return
        waited = time.monotonic() - self._since
        if self.waits_for_pause and not self._pausing and waited < GRACE_SECONDS and self.count == 1:
            return
        if not _would_tear(frame, waited):
            raise Interrupted

    def _end_late(self, seconds: float) -> None:
        """End the process, in a thread of its own: what keeps the main one may hear no signal."""
        time.sleep(seconds)
        _say()
        os._exit(INTERRUPTED)


_present: _Presses | None = None


def met(work: Callable[[], int], longest_seconds: float = LONGEST_SECONDS) -> int:
    """Do the *work* of a whole process and return its exit code: 130, and `Interrupted.` said, where Ctrl-C ended it."""
    global _present  # noqa: PLW0603 - what becomes of a signal is a matter of the process
    if not _is_ours():
        return work()
    mine = _present = _Presses(longest_seconds)
    try:
        mine.begin()
        code = work()
        mine.is_over = True
    except BaseException:
        mine.is_over = True  # before anything is called, so that nothing is raised out of here
        if not mine.count:
            raise
        code = INTERRUPTED
        _say()
    if mine.count:
        mine.end(then=signal.SIG_IGN)  # as in `_press`
    return code


def pressed() -> bool:
    """Tell whether Ctrl-C was pressed in this process: any error after that is of its making."""
    return _present is not None and _present.count > 0


def obey() -> None:
    """Raise `KeyboardInterrupt` if Ctrl-C was pressed: a short command has few moments between its imports."""
    if _present is not None and _present.count and not _present.is_over:
        raise Interrupted


def end() -> None:
    """Raise nothing any more: the command ends because of it."""
    if _present is not None:
        _present.is_over = True


def tell() -> None:
    """End, and say why."""
    end()
    _say()


class Pauses:
    """A block in which Ctrl-C is obeyed at its pauses; see `interruptible`."""

    def __init__(self) -> None:
        self._presses: _Presses | None = _present
        self._is_mine = False
        if _present is None and _is_ours():
            self._presses, self._is_mine = _Presses(None), True

    def __enter__(self) -> Callable[[float], None]:
        if self._presses is None:  # started to ignore it, or met by somebody else
            return time.sleep
        self._presses.waits_for_pause = True
        if self._is_mine:
            self._presses.begin()
        return self._presses.pause

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if self._presses is None:
            return
        self._presses.waits_for_pause = False
        if self._is_mine:
            self._presses.end()
            if self._presses.count and kind is None:
                raise Interrupted


def interruptible() -> Pauses:
    """
    Return a block that yields `pause(seconds)`, which raises `KeyboardInterrupt` once Ctrl-C was pressed.

    Elsewhere in the block it is raised only when it was pressed twice, or when no pause comes soon.
    """
    return Pauses()


def _is_ours() -> bool:
    """Tell whether nobody else decides about Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return False
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    except ValueError:
        return False  # this is not the main thread
    return True


def _is_under_way() -> bool:
    """Tell whether something is being cleaned up, or told, because of the exception."""
    error = sys.exc_info()[1]
    for _ in range(_MOST_CAUSES):
        if error is None:
            return False
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


def _would_tear(frame: FrameType | None, waited: float) -> bool:
    """Tell whether an exception at *frame* would leave half of something; after some seconds, whether of the imports' locks."""
    innermost = True
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_IMPORTS):
            if innermost or waited < IMPORT_SECONDS:
                return True
        elif waited < GRACE_SECONDS and (code.co_name in _WHOLE or _STATEMENTS in code.co_filename):
            return True
        innermost = innermost and code.co_filename == _HERE
        frame = frame.f_back
    return False


_HERE = _would_tear.__code__.co_filename


def _nothing(_unraisable: Any) -> None:
    """Tell nobody what became of what was left."""


def _say() -> None:
    shown = b"\x1b[?25h" if os.isatty(2) else b""  # a bar may have hidden the cursor
    try:  # noqa: SIM105 - contextlib would be imported first
        os.write(2, shown + b"Interrupted.\n")
    except OSError:
        pass  # nobody reads it
