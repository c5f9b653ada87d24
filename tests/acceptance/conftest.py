"""What the acceptance tests share: the browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests import browser as browsers


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each file: its driver keeps an event loop in this thread, where other files' async tests need none."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browsers.path(), args=browsers.ARGUMENTS, chromium_sandbox=False
        )
        yield browser
        browser.close()
