"""The product with some history, as its OpenAPI document describes it: a good request for every endpoint, and whether
an answer is what the document says.

Values that a path or a body needs are in `World.values` by name; what has none there gets one of its type.
"""

import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from postmeter.shared.apis.documents.vectis import CLICK_PATH, OPEN_PATH
from postmeter.shared.apis.documents.workspaces import BASE
from postmeter.shared.apis.endpoint import Endpoint
from postmeter.shared.apis.mail import webhooks
from postmeter.shared.apis.mail.unsubscribe import UNSUBSCRIBE_PATH
from postmeter.shared.apis.people import session
from postmeter.shared.apis.privacy import consent, subject_requests
from postmeter.shared.apis.privacy.preferences import PREFERENCES_PATH
from postmeter.shared.apis.workspace import sending_ips
from tests.product import PATIENCE, Product, wait_for

UNSUBSCRIBE = UNSUBSCRIBE_PATH + "{token}"


PREFERENCES = PREFERENCES_PATH + "{token}"


DOWNLOAD = BASE + "/analytics/exports/{exportId}/download"


SITE = '<p><a href="https://shop.example/offer?a=1">offer</a></p>'


@dataclass
class DescribedProduct:
    """A product with some history, and what its URLs are about."""

    product: Product
    document: dict[str, Any]
    values: dict[str, Any] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    webhook: str = ""

    def ask(self, method: str, path: str, *, key: bool = True, **options: Any) -> requests.Response:
        headers = {**(self.product.headers if key else {}), **options.pop("headers", {})}
        if path == self.links.get(webhooks.PATH):
            options["auth"] = ("anybody", self.webhook)
        if path.partition("?")[0] in (self.links.get(UNSUBSCRIBE), self.links.get(PREFERENCES)) and options.get("json"):
            options["data"] = options.pop("json")
        url = self.product.ready["gateway"] + path
        return requests.request(method, url, headers=headers, allow_redirects=False, timeout=30, **options)

    def path(self, endpoint: Endpoint) -> str:
        """The endpoint's path about something that exists."""
        if endpoint.path in self.links:
            return self.links[endpoint.path]
        if endpoint.method == "DELETE":  # what is gone cannot go again
            self.ids[endpoint.path] = self.made(endpoint.path)
        path = endpoint.path
        if (endpoint.method, path) == ("GET", consent.PATH):
            return f"{path}?to_hash={'ab' * 32}"
        for name, value in {**self.values, "id": self.ids.get(endpoint.path, "")}.items():
            path = path.replace(f"{{{name}}}", str(value))
        return path

    def made(self, path: str) -> str:
        """The id of a new one of what is at a path; empty for what has none."""
        if path == sending_ips.ONE_PATH:
            self.ask("POST", sending_ips.PATH, json={"ips": self.values["ips"]})
        if path == session.ONE_PATH:
            self.ask("POST", session.PATH, json={"api_key": self.product.ready["api_key"]})
            return str(self.ask("GET", session.OWN_PATH).json()["data"][0]["id"])
        bodies = {
            "/v1/sources/{id}": {"provider": "postmark"},
            "/v1/users/{id}": {"email": f"{uuid.uuid4()}@c.example", "role": "viewer"},
            "/v1/keys/{id}": {"role": "member", "scopes": ["track"]},
        }
        if path not in bodies:
            return ""
        return str(self.ask("POST", path.removesuffix("/{id}"), json=bodies[path]).json()["data"]["id"])

    def operation(self, endpoint: Endpoint) -> dict[str, Any]:
        found: dict[str, Any] = self.document["paths"][endpoint.path][endpoint.method.lower()]
        return found

    def body(self, endpoint: Endpoint) -> Any:
        """A body with what is required and nothing else; None where none is taken."""
        if endpoint.path == PREFERENCES and endpoint.method == "POST":
            return {"opens": "granted"}
        if endpoint is consent.PUT:  # one of two, which no schema says
            return {"to_hash": "ab" * 32, "opens": "granted"}
        for media in self.operation(endpoint).get("requestBody", {"content": {}})["content"].values():
            return self.made_of(media["schema"]) if media else {}
        return None

    def bodies(self, endpoint: Endpoint) -> list[dict[str, Any]]:
        """The schemas of the JSON bodies that are taken there."""
        schema = self.operation(endpoint)["requestBody"]["content"].get("application/json", {}).get("schema")
        return [] if schema is None else schema.get("anyOf", [schema])

    def made_of(self, schema: dict[str, Any], name: str = "") -> Any:
        if "$ref" in schema:
            schema = {**self.resolved(schema["$ref"]), **schema}
        if "anyOf" in schema:
            return self.made_of(schema["anyOf"][0], name)
        if "enum" in schema:
            known = self.values.get(name)
            return known if known in schema["enum"] else schema["enum"][0]
        match schema.get("type"):
            case "object":
                names = schema.get("required") or list(schema["properties"])[: schema.get("minProperties", 0)]
                return {key: self.made_of(schema["properties"][key], key) for key in names}
            case "array":
                items = schema["items"]
                return [items["enum"][0]] if "enum" in items else self.values.get(name) or [self.made_of(items, name)]
            case "string":
                return self.values.get(name, "x")
            case "boolean":
                return True
            case _:
                return self.values.get(name, schema.get("minimum", 1))

    def resolved(self, reference: str) -> dict[str, Any]:
        found: Any = self.document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        assert isinstance(found, dict)
        return found

    @staticmethod
    def _has(answer: requests.Response, said: dict[str, Any]) -> bool:
        """Whether it has the document's headers. Limits are not told while Redis is slow: then it is asked again."""
        if all(header in answer.headers for header in said.get("headers", {})):
            return True
        with requests.Session() as session:
            again = session.send(answer.request, timeout=PATIENCE)
        return all(header in again.headers for header in said.get("headers", {}))

    def conforms(self, endpoint: Endpoint, answer: requests.Response) -> None:
        """Its status, media type and body are those of the document, with no field more."""
        responses = self.operation(endpoint)["responses"]
        said = responses.get(str(answer.status_code), responses["default"])
        if "$ref" in said:
            said = self.resolved(said["$ref"])
        if "content" not in said:
            assert not answer.content
            return
        media = answer.headers["Content-Type"].partition(";")[0]
        assert media in said["content"] or "*/*" in said["content"], (endpoint.path, media, answer.text)
        if answer.status_code < 400:
            wait_for(f"{endpoint.path} with {list(said.get('headers', ()))}", lambda: self._has(answer, said))
        schema = said["content"].get(media, {}).get("schema")
        if schema:
            # Imported here: its formats take two seconds, and each process of the tests reads this module.
            import jsonschema

            # `jsonschema.validate` would first judge the whole document, each time; tests/unit/test_openapi.py does.
            kind = jsonschema.Draft202012Validator
            strict = {"components": self.components, **schema}
            kind(strict, format_checker=kind.FORMAT_CHECKER).validate(answer.json())

    @cached_property
    def components(self) -> Any:
        """The document's, with every struct allowing only the fields that it names."""
        return closed(self.document["components"])


def closed(schema: Any) -> Any:
    """The schema with every struct allowing only the fields that it names."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(part) for name, part in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        made.setdefault("additionalProperties", False)
    return made


def filled(product: Product) -> DescribedProduct:
    document = requests.get(product.ready["gateway"] + "/openapi.json", timeout=60).json()
    world = DescribedProduct(product, document)
    messages = [register(world, campaign, number) for campaign in ("spring", "autumn") for number in range(4)]
    kinds = ["sent", "delivered", "opened", "clicked", "replied", "unsubscribed", "complained"]
    told = [{"type": kind, "message_id": m["id"]} for m in messages[:-1] for kind in kinds]
    told += [
        {
            "type": "bounced",
            "bounce_type": "hard",
            "reason": "550 5.1.1 no such user",
            "message_id": messages[-1]["id"],
        },
        {"type": "received", "domain": "shop.example", "size_bytes": 2048, "spam": True},
    ]
    answer = world.ask("POST", "/v1/events", json={"events": told}).json()
    assert (answer["accepted"], answer["rejected"]) == (len(told), [])
    first = messages[0]
    world.values = {
        "workspaceId": product.ready["workspace"],
        "campaignId": "spring",
        "campaign_ids": ["spring", "autumn"],
        "file": "style.css",
        "metrics": ["sent", "opens"],
        "from_address": "a@shop.example",
        "to": "b@c.example",
        "type": "opened",
        "email": "b@c.example",
        "contact_email": "b@c.example",
        "event_name": "signed_up",
        "currency": "EUR",
        "amount": 12,
        "name": "Spring",
        "order_id": "order-1",
        "api_key": product.ready["api_key"],
        "link": product.ready["dashboard"].partition("=")[2],
        "provider": "postmark",
        "ips": ["9.9.9.9"],
        "ip": "9.9.9.9",
        "opens": "granted",
    }
    gone = world.ask("POST", subject_requests.ERASE_PATH, json={"to": "gone@c.example"}).json()["data"]
    world.ids = {
        "/v1/messages/{id}": first["id"],
        "/v1/messages/{id}/events": first["id"],
        "/api/v1/analytics/campaigns/{id}": "spring",
        "/v1/campaigns/{id}": "spring",
        "/v1/sources/{id}": world.made("/v1/sources/{id}"),
        "/v1/users/{id}": world.made("/v1/users/{id}"),
        subject_requests.ERASURE_PATH: gone["id"],
    }
    webhook, world.webhook = source(product)
    world.links = {
        PREFERENCES: path_of(first["preferences_url"]),
        OPEN_PATH + "{token}": path_of(first["open_url"]),
        CLICK_PATH + "{token}": path_of(first["links"][0]["tracking_url"]),
        webhooks.PATH: webhook,
        UNSUBSCRIBE: path_of(first["unsubscribe"]["url"]),
        consent.PATH: f"{consent.PATH}?to_hash={'0' * 64}",
    }
    wait_for("the first numbers", lambda: opens(world) == len(messages) - 1)
    export(world)
    return world


def register(world: DescribedProduct, campaign: str, number: int) -> Any:
    body = {"campaign_id": campaign, "campaign_name": campaign.title(), "from_address": "News <news@shop.example>"}
    body |= {"to": f"{campaign}{number}@c.example", "subject": "Half off", "provider": "postmark", "template": "offer"}
    answer = world.ask("POST", "/v1/messages", json={**body, "tags": ["a"], "html": SITE})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def opens(world: DescribedProduct) -> Any:
    rows = world.ask("POST", "/v1/query", json={"metrics": ["opens"]}).json()["data"]
    return rows and rows[0]["opens"]


def export(world: DescribedProduct) -> None:
    """Order one, and remember its id and its link once it is there."""
    base = BASE.format(workspaceId=world.values["workspaceId"]) + "/analytics"
    ordered = world.ask("POST", f"{base}/export", json={"export_type": "overview"}).json()["data"]
    world.values["exportId"] = ordered["export_id"]

    def ready() -> str | None:
        found: str | None = world.ask("GET", f"{base}/exports/{ordered['export_id']}").json()["data"]["download_url"]
        return found

    world.links[DOWNLOAD] = path_of(wait_for("the export", ready))


def source(product: Product) -> tuple[str, str]:
    """The path of a webhook's URL, and its secret."""
    command = [str(Path(sys.executable).with_name("postmeter")), "source", "create", "--workspace"]
    command += [product.ready["workspace"], "--provider", "postmark", "--data", str(product.data)]
    made = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    url, secret = (line.split()[1] for line in made.splitlines()[:2])
    return path_of(url), secret


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
