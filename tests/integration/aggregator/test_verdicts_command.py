"""The command `postmeter verdicts`, on a real database."""

import pytest
from click.testing import CliRunner, Result

from postmeter.cli.main import main
from postmeter.shared.storage.thresholds import Thresholds

DEFAULTS = [f"{name}={value}" for name, value in Thresholds()._asdict().items()]


class Commands:
    def __init__(self, dsn: str) -> None:
        self._environ = {"POSTMETER_POSTGRES_DSN": dsn}

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, env=self._environ)


@pytest.fixture
def command(postgres_dsn: str) -> Commands:
    commands = Commands(postgres_dsn)
    assert commands("workspace", "create", "acme", "--name", "Acme", "--timezone", "UTC").exit_code == 0
    return commands


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
