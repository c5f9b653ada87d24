"""Services know Redis' absence by one name: what uvloop adds to it is forgotten where it is spelled out again."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("shared", "gateway", "tracking-service", "query-service", "aggregator")
OWN_LISTS = {"redis_failures.py", "errors.py"}
"""The tuple itself, and the aggregator's, in which uvloop's words are told from errors of our own."""


def test_no_service_catches_redis_errors_by_a_list_of_its_own() -> None:
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    assert len(files) > 200
    spelled = {file.name for file in files if re.search(r"\bRedisError\b", file.read_text())}
    assert spelled == OWN_LISTS
