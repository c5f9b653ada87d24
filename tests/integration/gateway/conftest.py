"""What several of the gateway's tests use."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.integration.dashboard_modules import Evaluate, dashboard_page, evaluator


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """The dashboard's page, with its files and nothing else that answers."""
    with dashboard_page() as made:
        yield made


@pytest.fixture(scope="module")
def evaluate(page: Page) -> Evaluate:
    return evaluator(page)
