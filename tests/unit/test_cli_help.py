"""Every command and every option says what it is for."""

from collections.abc import Iterator

import click

from postmeter.cli.main import main


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            yield from commands(found, f"{name} {inner}")


def test_commands_and_options_have_help() -> None:
    mute = []
    for name, command in commands(main, "postmeter"):
        options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
        mute += [name] if not command.help else []
        mute += [f"{name} {one.opts[0]}" for one in options if not one.help]
    assert mute == []
