"""The alerts: each fires when it should, none while all is well, and each says what to do."""

import re
from pathlib import Path

import pytest
import yaml

from tests.deploy.alert_cases import CASES, MINUTES, WELL, Case
from tests.deploy.render import rendered
from tests.deploy.rule_files import ROOT, RULE_FILES, alerts, promtool

SEVERITIES = {"critical", "warning"}
PAGE = (ROOT / "docs/operating.md").read_text()


def labelled(series: str) -> str:
    """With the labels that a scrape adds."""
    name, _, labels = series.partition("{")
    own = labels.rstrip("}")
    added = 'instance="a:1"' if "job=" in own else 'instance="a:1", job="postmeter"'
    return f"{name}{{{', '.join(filter(None, [own, added]))}}}"


def firing_at(minute: int, expected: set[str]) -> dict[str, object]:
    return {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(expected)],
    }


def unit_test(name: str, minutes: int, series: dict[str, str], expected: list[dict[str, object]]) -> dict[str, object]:
    until = f"x{minutes}"
    given = [
        {"series": labelled(one), "values": values.replace("x5000", until)} for one, values in (WELL | series).items()
    ]
    return {"name": name, "interval": "1m", "input_series": given, "promql_expr_test": expected}


def of_case(number: int, case: Case) -> dict[str, object]:
    expected = firing_at(case.minute, {case.fires, *case.also})
    return unit_test(f"{number} {case.fires}", case.minute, case.series, [expected])


def run(file: Path, every: str, tests: list[dict[str, object]]) -> None:
    """Evaluate the rules so often, and look what fires."""
    whole = {"rule_files": [*map(str, RULE_FILES)], "evaluation_interval": every, "tests": tests}
    file.write_text(yaml.safe_dump(whole))
    promtool("test", "rules", str(file))


def test_the_files_are_rules() -> None:
    promtool("check", "rules", *map(str, RULE_FILES))


def test_nothing_fires_while_all_is_well(tmp_path: Path) -> None:
    for every, minutes in (("1m", MINUTES[:-1]), ("30m", MINUTES[-1:])):
        expected = [firing_at(minute, set()) for minute in minutes]
        run(tmp_path / "well.yml", every, [unit_test("all is well", minutes[-1], {}, expected)])


@pytest.mark.parametrize(("every", "least", "most"), [("1m", 0, 600), ("20m", 600, 5000)])
def test_each_alert_fires_when_it_should_and_no_other(every: str, least: int, most: int, tmp_path: Path) -> None:
    """What takes days is evaluated more seldom, or it would take minutes."""
    cases = [of_case(number, case) for number, case in enumerate(CASES) if least <= case.minute < most]
    run(tmp_path / "cases.yml", every, cases)


def test_an_autoscaler_gets_one_series_however_many_shards_and_pods_there_are(tmp_path: Path) -> None:
    """It adds up all series of an external metric; what it is to see is the shard that is furthest behind."""
    (metric,) = {
        one["external"]["metric"]["name"]
        for scaler in rendered("standard").of("HorizontalPodAutoscaler")
        for one in scaler["spec"]["metrics"]
        if one["type"] == "External"
    }
    behind = {
        ("a", "pod-1", 0): 2,
        ("a", "pod-1", 1): 3,
        ("a", "pod-2", 2): 2,
        ("a", "pod-2", 3): 2,
        ("b", "pod-1", 0): 7,
    }
    given = [
        {"series": f'postmeter_lag_seconds{{namespace="{space}", pod="{pod}", shard="{shard}"}}', "values": f"{lag}x9"}
        for (space, pod, shard), lag in behind.items()
    ]
    seen = [{"labels": f'{metric}{{namespace="{space}"}}', "value": lag} for space, lag in (("a", 3), ("b", 7))]
    asked = [{"expr": metric, "eval_time": "5m", "exp_samples": seen}]
    run(tmp_path / "lag.yml", "1m", [{"interval": "1m", "input_series": given, "promql_expr_test": asked}])


def test_no_alert_is_without_a_case() -> None:
    assert {case.fires for case in CASES} == set(alerts())


def test_each_alert_says_what_it_is_what_to_do_and_where_more_stands() -> None:
    sections = dict(re.findall(r"^### (Postmeter\w+)\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S))
    assert set(sections) == set(alerts())
    for name, alert in alerts().items():
        assert alert["labels"]["severity"] in SEVERITIES
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
        assert alert["annotations"]["runbook_url"] == f"docs/operating.md#{name.lower()}"
        for part in ("Symptom", "Means", "Look", "Do"):
            assert f"**{part}:** " in sections[name], (name, part)


@pytest.mark.parametrize("name", ["scrape-host.yml", "scrape-compose.yml"])
def test_the_scrape_configs_are_whole_and_find_the_rules(name: str) -> None:
    said = promtool("check", "config", str(ROOT / "deploy/prometheus" / name))
    assert all(f"{file.name}\n  SUCCESS" in said for file in RULE_FILES)


def test_compose_has_the_services_that_its_scrape_config_names() -> None:
    services = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]
    config = yaml.safe_load((ROOT / "deploy/prometheus/scrape-compose.yml").read_text())
    (found,) = config["scrape_configs"][0]["dns_sd_configs"]
    for service in found["names"]:
        assert services[service]["environment"]["POSTMETER_OPS_PORT"] == str(found["port"])
