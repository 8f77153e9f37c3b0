"""
Every error, cut by what the caller can do about it.

An error says what happened (`message`), what to do next (`hint`) and about what
(`about`, plain JSON values, never content of a data set). Doors translate the
class to their own language: the command line to an exit code, the server to a status.
"""

from __future__ import annotations

from typing import Any, ClassVar


class IntramuralError(Exception):
    """The root; raised only through its subclasses."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None, **about: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.about = about

    def document(self) -> dict[str, Any]:
        """Return the error as one JSON object, the same on every wire."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "about": self.about}


class InvalidInput(IntramuralError):
    """What was given is malformed or impossible; change it and call again."""

    code = "invalid_input"


class NotFound(IntramuralError):
    """Nothing has that name; choose another."""

    code = "not_found"


class Conflict(IntramuralError):
    """The thing exists already, or its state does not allow this act."""

    code = "conflict"


class DoesNotFit(IntramuralError):
    """The machine has too little memory or disk for what was asked."""

    code = "does_not_fit"


class Refused(IntramuralError):
    """A rule or a role says no."""

    code = "refused"


class NeedsApproval(Refused):
    """Nothing else is missing but that other people say yes."""

    code = "needs_approval"


class UnsafeModel(Refused):
    """A model folder holds pickle weights or code of its own."""

    code = "unsafe_model"


class StaleFence(Conflict):
    """Another scheduler holds the lease; this write came too late."""

    code = "stale_fence"


class IntegrityFailure(IntramuralError):
    """Stored bytes are not the bytes their digest names."""

    code = "integrity"


class DriftDetected(IntegrityFailure):
    """A resume would run in another environment than the checkpoint was written in."""

    code = "drift"


class TimedOut(IntramuralError):
    """A time limit or a quota ended the wait."""

    code = "timed_out"


class Unavailable(IntramuralError):
    """Something this needs is away; try again later."""

    code = "unavailable"


def _classes(root: type[IntramuralError]) -> list[type[IntramuralError]]:
    return [root, *(each for child in root.__subclasses__() for each in _classes(child))]


def from_document(document: dict[str, Any]) -> IntramuralError:
    """Build the error that `IntramuralError.document` described, with its own class."""
    by_code = {
        each.code: each for each in reversed(_classes(IntramuralError))
    }  # a class without a code of its own is its parent
    kind = by_code.get(str(document.get("code")), IntramuralError)
    return kind(str(document["message"]), hint=document.get("hint"), **(document.get("about") or {}))
