"""A group of commands whose help says what each is for in a whole sentence: click's own ends it with dots."""

import click

_LIMIT = 1000  # characters; more than any sentence of ours


class Group(click.Group):
    """`@click.group(cls=Group)`; groups inside it are of the same kind."""

    group_class = type

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, command.get_short_help_str(_LIMIT)) for name, command in commands if command is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
