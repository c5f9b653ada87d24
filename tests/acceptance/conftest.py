"""What the acceptance tests share: the browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests import browser as browsers


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each file: its driver keeps an event loop in this thread, where other files' async tests need none."""
    with browsers.running() as browser:
        yield browser
