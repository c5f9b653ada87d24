"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def data_option(default: Path | None = None) -> Callable[[F], F]:
    """The option --data DIR."""
    return click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        default=default,
        show_default=default is not None,
        help="Data directory of `postmeter up`." + ("" if default else " Default: POSTMETER_POSTGRES_DSN."),
    )
