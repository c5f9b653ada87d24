"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

DEFAULT_DATA = Path(".postmeter")
F = TypeVar("F", bound=Callable[..., Any])


def data_option(default: Path | None = None) -> Callable[[F], F]:
    """The option --data DIR."""
    otherwise = " Default: what POSTMETER_POSTGRES_DSN names, else .postmeter."
    return click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        default=default,
        show_default=default is not None,
        help="Data directory of `postmeter up`." + ("" if default else otherwise),
    )


def local_options(command: F) -> F:
    """What local mode may be told: --data, --port, --tracking-port."""
    port = click.IntRange(0, 65535)
    for option in (
        click.option("--tracking-port", default=8081, show_default=True, type=port, help="Tracking; 0: any."),
        click.option("--port", default=8080, show_default=True, type=port, help="Gateway; 0: any."),
        data_option(default=DEFAULT_DATA),
    ):
        command = option(command)
    return command
