"""One product and one browser for all files of the folder: they run in one process (tests/conftest.py)."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests import browser as browsers
from tests.acceptance.dashboard_visits import Visit, signed_in
from tests.acceptance.told_history import ToldHistory
from tests.product import running


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """As that of the acceptance tests, which is one for each file."""
    with browsers.running() as browser:
        yield browser


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToldHistory]:
    with running(tmp_path_factory.mktemp("dashboard")) as product:
        yield ToldHistory(product)


@pytest.fixture
def visiting(world: ToldHistory, browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Makes visits of somebody who is signed in; in the end nothing was complained of, nor asked of anybody else."""
    contexts, visits = [], []

    def visit(**options: Any) -> Visit:
        contexts.append(signed_in(world.product, browser, **options))
        visits.append(Visit(world.url, contexts[-1].new_page()))
        return visits[-1]

    yield visit
    for context in contexts:
        context.close()
    for made in visits:
        made.was_quiet()
