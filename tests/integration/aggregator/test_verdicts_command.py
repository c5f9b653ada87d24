"""The command `postmeter verdicts`, on a real database."""

import pytest

from postmeter.shared.storage.thresholds import Thresholds
from tests.integration.commands import Commands

DEFAULTS = [f"{name}={value}" for name, value in Thresholds()._asdict().items()]


def test_what_is_set_is_shown_and_the_rest_stays(command: Commands) -> None:
    shown = command("verdicts", "show", "--workspace", "acme")
    assert shown.output.split() == DEFAULTS
    assert command("verdicts", "set", "--workspace", "acme", "burst_clicks=8", "early_seconds=3").exit_code == 0
    assert command("verdicts", "set", "--workspace", "acme", "burst_links=7").exit_code == 0
    shown = command("verdicts", "show", "--workspace", "acme")
    said = ["burst_clicks=8", "burst_links=7", "burst_milliseconds=1000", "all_links=4", "scan_seconds=10"]
    assert shown.output.split() == [*said, "early_seconds=3"]


@pytest.mark.parametrize(
    ("thresholds", "says"),
    [
        (("bursts=3",), "burst_clicks, burst_links, burst_milliseconds, all_links, scan_seconds, early_seconds"),
        (("burst_clicks=1",), "2 to 100, or 0"),
        (("burst_clicks=101",), "2 to 100, or 0"),
        (("scan_seconds=-1",), "1 to 60, or 0"),
        (("scan_seconds=2.5",), "1 to 60, or 0"),
        (("scan_seconds=\u0663",), "1 to 60, or 0"),
        (("burst_links",), "2 to 100, or 0"),
        (("burst_links=3", "burst_links=4"), "once"),
    ],
)
def test_what_makes_no_sense_is_refused(command: Commands, thresholds: tuple[str, ...], says: str) -> None:
    refused = command("verdicts", "set", "--workspace", "acme", *thresholds)
    assert refused.exit_code == 1
    assert says in refused.output
    assert "burst_clicks=30" in command("verdicts", "show", "--workspace", "acme").output


def test_a_workspace_that_is_not_there(command: Commands) -> None:
    for arguments in (("show", "--workspace", "nobody"), ("set", "--workspace", "nobody", "burst_clicks=8")):
        refused = command("verdicts", *arguments)
        assert refused.exit_code == 1
        assert "there is no workspace 'nobody'" in refused.output
