"""The operator's page knows every setting and the metrics that exist; links in all pages lead somewhere."""

import re
from dataclasses import MISSING, fields
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from postmeter.aggregator.settings import AggregatorSettings
from postmeter.gateway.settings import GatewaySettings
from postmeter.query.settings import QuerySettings
from postmeter.shared.process.advice import WARNINGS
from postmeter.shared.storage import rights
from postmeter.tracking.settings import TrackingSettings
from tests.metric_names import every_metric

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operating.md").read_text()
ADRS = (ROOT / "docs/adr/README.md").read_text()
OURS = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")] + [ROOT / ".ci"]
"""The folders of the repository, and not what is installed or runs beside them."""
PAGES = [*ROOT.glob("*.md"), *(page for folder in OURS for page in folder.rglob("*.md"))]
SERVICES = (AggregatorSettings, GatewaySettings, QuerySettings, TrackingSettings)


def test_every_setting_is_described_and_none_is_made_up() -> None:
    real = {f"POSTMETER_{field.name.upper()}" for service in SERVICES for field in fields(service)}
    assert real == set(re.findall(r"POSTMETER_[A-Z_]+", PAGE))


WORDS = {"required": MISSING, "`true`": True, "`false`": False, "see [limits](api/limits.md)": ""}
NOTHING = {"none", "shipped", "the system's", "the environment's", "any free one"}
UNITS = {"MiB": 1 << 20, "GiB": 1 << 30}


def written(default: str) -> object:
    """What a cell of the page says; None: what is not set."""
    if default in WORDS or default in NOTHING:
        return WORDS.get(default)
    number, _, unit = default.partition(" ")
    return float(number) * UNITS.get(unit, 1) if number.replace(".", "").isdigit() else default.strip("`")


def test_every_default_is_the_setting_s_own() -> None:
    """Several names in a row have a default each, or all the same; one name with several has one in each service."""
    of_heading = {
        "Every service": SERVICES,
        "tracking-service": (TrackingSettings,),
        "aggregator": (AggregatorSettings,),
        "query-service and gateway": (QuerySettings, GatewaySettings),
    }
    seen = 0
    for heading, services in of_heading.items():
        section = PAGE.partition(f"### {heading}\n")[2].partition("\n#")[0]
        for row in re.findall(r"^\| (`POSTMETER_.*)", section, re.MULTILINE):
            names, default = row.split(" | ")[:2]
            places = [
                next(field for service in services for field in fields(service) if field.name == name.lower())
                for name in re.findall(r"POSTMETER_(\w+)", names)
            ]
            told = [written(one) for one in default.split(", ")]
            if len(places) == 1 and len(told) > 1:
                places = [field for service in services for field in fields(service) if field.name == places[0].name]
            for field, one in zip(places, told if len(told) > 1 else told * len(places), strict=True):
                assert field.default == one or (one is None and not field.default), field.name
                seen += 1
    assert seen > 60


NAMED = set(re.findall(r"postmeter_[a-z_]+[a-z]", PAGE))


def test_every_metric_is_described() -> None:
    metrics = [metric for metric in every_metric().values() if isinstance(metric, MetricWrapperBase)]
    names = {f"{metric._name}_total" if metric._type == "counter" else metric._name for metric in metrics}
    assert len(names) > 80
    assert names - NAMED == set()


def test_every_metric_that_is_named_exists() -> None:
    roles = {"postmeter_owner", *map(rights.role, rights.RIGHTS)}
    assert NAMED - set(every_metric()) - roles == set()


def test_every_warning_is_in_the_runbook() -> None:
    runbook = PAGE.partition("### PostmeterWarns\n")[2].partition("\n#")[0]
    assert set(WARNINGS) - set(re.findall(r"`([a-z_]+)`", runbook)) == set()


def test_every_link_to_a_file_leads_to_one() -> None:
    links = [
        (page.name, page.parent / target)
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s:]+)(?:#[^)\s]*)?\)", page.read_text())
    ]
    assert len(links) > 100
    assert [(page, target.name) for page, target in links if not target.exists()] == []


def test_every_link_to_a_heading_leads_to_one() -> None:
    headings = {page.resolve(): re.findall(r"^#+ (.*)", page.read_text(), re.MULTILINE) for page in PAGES}
    anchors = {page: set(map(anchor, found)) for page, found in headings.items()}
    links = [
        ((page.parent / target if target else page).resolve(), name)
        for page in PAGES
        for target, name in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", page.read_text())
    ]
    assert len(links) > 50
    assert [(page.name, name) for page, name in links if name not in anchors.get(page, ())] == []


def anchor(heading: str) -> str:
    """What a heading is called in an address."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w -]", "", text).strip().replace(" ", "-")


def test_every_page_that_the_code_names_exists() -> None:
    """The rules that code and tests cite are pages of this repository."""
    folders = ("shared", "gateway", "tracking-service", "aggregator", "query-service", "cli", "tests")
    texts = [path for folder in folders for kind in ("*.py", "*.sql") for path in (ROOT / folder).rglob(kind)]
    named = {name for path in texts for name in re.findall(r"[\w./-]*[a-zA-Z]\.md\b", path.read_text())}
    pages = {page.relative_to(ROOT).as_posix() for page in PAGES}
    assert {"semantics.md", "hostile-input.md"} <= named
    assert {name for name in named if not any(page.endswith(name) for page in pages)} == set()


def test_every_module_that_code_or_a_page_names_exists() -> None:
    """A docstring that points to a module must not outlive the module's name."""
    modules = {path.name for folder in OURS for path in folder.rglob("*.py")}
    folders = ("shared", "gateway", "tracking-service", "aggregator", "query-service", "cli", "docs")
    texts = [path for folder in folders for kind in ("*.py", "*.sql", "*.md") for path in (ROOT / folder).rglob(kind)]
    named = {name for path in texts for name in re.findall(r"\b[a-z_]+\.py\b", path.read_text())}
    assert {"streams.py", "own_endpoints.py"} <= named
    assert named - modules == set()


def test_every_decision_is_listed_and_a_number_without_one_is_named() -> None:
    folder = ROOT / "docs/adr"
    pages = {int(page.name[:4]): page.name for page in folder.glob("[0-9]*.md")}
    assert set(re.findall(r"\]\(([0-9].*?)\)", ADRS)) == set(pages.values())
    named = {int(number) for line in re.findall(r"no page came of ([0-9, ]+)", ADRS) for number in line.split(",")}
    assert set(range(1, max(pages) + 1)) - set(pages) == named & set(range(1, max(pages) + 1))
    assert not named & set(pages)


def test_the_list_of_decisions_says_what_their_pages_say() -> None:
    """Their titles, and by which later ones they were changed."""
    folder = ROOT / "docs/adr"
    rows = re.findall(
        r"^\| \[(\d+)\]\((.+?)\) \| (.+?)(?: \((?:changed|superseded) by (.+)\))? \|$", ADRS, re.MULTILINE
    )
    assert len(rows) == len([*folder.glob("[0-9]*.md")])
    for number, name, title, later in rows:
        heading, *head = (folder / name).read_text().partition("\n\n")[0].split("\n")
        assert heading == f"# {number} {title}"
        told = re.search(r"^(?:Changed|Superseded) .*?(?=\nCarries on|\Z)", "\n".join(head), re.MULTILINE | re.DOTALL)
        assert re.findall(r"\[(\d+)\]", told[0] if told else "") == later.replace(" ", "").split(",") * bool(later), (
            name
        )


def test_every_table_is_accounted_for_where_it_says_what_is_kept_of_recipients() -> None:
    page = (ROOT / "docs" / "privacy.md").read_text()
    named = re.compile("|".join(name.replace("*", r"\w+") for name in re.findall(r"`([a-z_0-9]+\*?)`", page)))
    tables = re.findall(r"^CREATE TABLE (\w+)", (ROOT / "docs" / "schema.sql").read_text(), re.MULTILINE)
    assert [table for table in tables if not named.fullmatch(table)] == []
    assert len(tables) > 40
