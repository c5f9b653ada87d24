"""Answers of the API as a test has them: none yet, none at all, or a refusal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, Route


@contextmanager
def held_back(page: Page, path: str, which: Callable[[str], object]) -> Iterator[list[Route]]:
    """Requests to a path whose body is one of `which`, unanswered until the end."""
    held: list[Route] = []
    page.route(path, lambda route: held.append(route) if which(route.request.post_data or "") else route.continue_())
    yield held
    page.unroute(path)


def comes_late(page: Page, held: list[Route], answer: Any) -> None:
    """The request that was held back has an answer now, and the page has it, if it still wants one."""
    with suppress(PlaywrightError):  # nobody waits for it any more
        held[0].fulfill(json=answer)
    assert page.evaluate("fetch('/session').then((answer) => answer.status)") == 200


@contextmanager
def answering(page: Page, path: str, *answers: dict[str, Any]) -> Iterator[list[str]]:
    """Gives these answers to the first requests for a path, and the true ones after."""
    left, given = list(answers), []

    def answer(route: Route) -> None:
        given.append(route.request.url)
        if not left:
            route.continue_()
        elif left[0].get("abort"):
            left.pop(0)
            route.abort()
        else:
            route.fulfill(**left.pop(0))

    page.route("**" + path, answer)
    yield given
    page.unroute("**" + path)


def refusal(status: int, code: str, **headers: str) -> dict[str, Any]:
    return {"status": status, "json": {"error": {"code": code, "message": "said by the server"}}, "headers": headers}
