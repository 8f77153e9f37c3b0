"""The wire under the SDK: JSON documents by method and path, the same in process and over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

OnProgress = Callable[[int, int, str], None]


def silent(_done: int, _total: int, _what: str) -> None:
    """Show no progress."""


class Transport(Protocol):
    """Carries one request."""

    def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
        upload: BinaryIO | None = None,
        on_progress: OnProgress = silent,
    ) -> Any:
        """Return the answer's JSON document; raise the `IntramuralError` the other side raised. *upload* is read once."""
