"""
The command `intramural`, from its first moment on.

Ctrl-C is met before anything is imported that takes time, so nothing else is imported here.
"""

from __future__ import annotations

import sys

from intramural.cli import interrupts


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(interrupts.met(lambda: run(sys.argv[1:])))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    from intramural.cli.commands import call  # noqa: PLC0415 - Ctrl-C is met before

    return call(arguments)


if __name__ == "__main__":
    main()
