"""The dashboards: their files are what the program writes, and every panel can be read by who has never seen it."""

import json
import runpy
from pathlib import Path

import yaml

from tests.deploy.rule_files import DASHBOARDS, ROOT, panels, promtool

PROGRAM = runpy.run_path(str(ROOT / "deploy/grafana/dashboards.py"))
UNITS = {"short", "s", "bytes", "reqps", "cps", "percentunit"}


def test_the_files_are_what_the_program_writes() -> None:
    assert {file.stem for file in DASHBOARDS} == set(PROGRAM["DASHBOARDS"])
    for file in DASHBOARDS:
        assert file.read_text() == PROGRAM["text"](PROGRAM["DASHBOARDS"][file.stem])


def test_each_panel_has_a_unit_a_description_and_room() -> None:
    for file in DASHBOARDS:
        taken: set[tuple[int, int]] = set()
        ids = set()
        for panel in json.loads(file.read_text())["panels"]:
            assert panel["description"].endswith(".")
            assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
            assert not cells & taken
            taken |= cells
            ids.add(panel["id"])
        assert len(ids) == len(json.loads(file.read_text())["panels"])


def test_each_expression_is_one(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": expr} for number, (_, expr) in enumerate(panels())]
    file = tmp_path / "panels.rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", str(file))
