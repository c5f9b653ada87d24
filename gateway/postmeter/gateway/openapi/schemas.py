"""JSON Schemas of the structs of one document, as the JSON that Postmeter really writes and reads."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from postmeter.shared.apis.document import Document
from postmeter.shared.apis.endpoint import READ_LATER, READ_LATER_STRUCTS

Schema = dict[str, Any]
_DECIMAL = {"type": "string", "format": "decimal"}
_NULL = {"type": "null"}


class Schemas:
    """Collects components: the schemas of structs, and responses that several endpoints share.

    Their names begin with the document's, for several documents have a `Campaign`.
    """

    def __init__(self, document: Document) -> None:
        self._prefix = document.schemas or document.name
        self.components: dict[str, Schema] = {}
        self.responses: dict[str, Schema] = {}
        self._references: dict[Any, Schema] = {}

    def response(self, phrase: str, response: Schema) -> Schema:
        """A reference to `response`, which is stored under a name made of `phrase`."""
        name = self._prefix + phrase.title().replace(" ", "")
        self.responses[name] = response
        return {"$ref": f"#/components/responses/{name}"}

    def of(self, kind: Any) -> Schema:
        """The schema of any type; structs are referred to."""
        if not _is_struct(kind):
            return self._of(kind)
        if kind not in self._references:  # an error's is asked for by every endpoint
            self._references[kind] = self._of(kind)
        return dict(self._references[kind])

    def _of(self, kind: Any) -> Schema:
        if get_origin(kind) in (Union, UnionType) and sum(map(_is_struct, get_args(kind))) > 1:
            # Unions that only a document's words tell apart; msgspec knows none without tags.
            return {"anyOf": [self.of(part) for part in get_args(kind)]}
        template = f"#/components/schemas/{self._prefix}{{name}}"
        (schema,), structs = msgspec.json.schema_components([kind], ref_template=template)
        for name, component in structs.items():
            described = self._as_written(component)
            if self.components.setdefault(self._prefix + name, described) != described:
                raise ValueError(f"two structs of one document are called {name}")
        written: Schema = self._as_written(schema)
        return written

    def of_parameter(self, field: msgspec.structs.FieldInfo) -> Schema:
        """The schema of one field of a query string: never null, and what Meta says of its type counts."""
        schema = self.of(field.type)
        if "anyOf" in schema:
            rest = [part for part in schema.pop("anyOf") if part != _NULL]
            schema |= rest[0] if len(rest) == 1 else {"anyOf": rest}
        if "enum" in schema:
            schema["enum"] = [value for value in schema["enum"] if value is not None]
        for annotation in getattr(field.type, "__metadata__", ()):
            schema |= annotation.extra_json_schema or {}
        if field.default not in (msgspec.NODEFAULT, None):
            schema["default"] = int(field.default) if schema.get("type") == "integer" else field.default
        return schema

    def _as_written(self, schema: Any) -> Any:
        """msgspec's schema with decimals as numbers, with null among the values where null is allowed, and with the
        structs of what is read later.
        """
        if isinstance(schema, list):
            return [self._as_written(part) for part in schema]
        if not isinstance(schema, dict):
            return schema
        if READ_LATER in schema:
            return self.of(READ_LATER_STRUCTS[schema[READ_LATER]])
        if _DECIMAL.items() <= schema.items():
            return {name: part for name, part in schema.items() if name != "format"} | {"type": "number"}
        schema = {name: self._as_written(part) for name, part in schema.items()}
        if "enum" in schema and _NULL in schema.get("anyOf", ()):
            schema["enum"] = [*schema["enum"], None]
        return schema


def _is_struct(kind: Any) -> bool:
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
