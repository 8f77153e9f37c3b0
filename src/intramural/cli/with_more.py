"""A command that takes an argument of its own and has further commands below it: `interview FILE`, `interview sheet`."""

from __future__ import annotations

from typing import Any

import click


class CommandWithMore(click.Command):
    """Does its own work unless its first argument is the name of a command below it."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.more: dict[str, click.Command] = {}

    def add(self, command: click.Command) -> click.Command:
        """Put *command* below this one."""
        self.more[str(command.name)] = command
        return command

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Hand over to the command below that the first argument names."""
        below = self.more.get(args[0]) if args else None
        if below is None:
            return super().make_context(info_name, args, parent, **extra)
        return below.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands below."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(80)) for name, each in self.more.items()])
        super().format_epilog(ctx, formatter)
