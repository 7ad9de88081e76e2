"""JSON schemas of the records that jobs write, generated from their dataclasses."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import types
import typing
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import yaml

from tapemill.media.capture_info import Capture
from tapemill.provenance.model import Provenance
from tapemill.records.audio import AudioRecord
from tapemill.records.capture import CaptureHashes
from tapemill.records.clip import ClipRecord
from tapemill.records.subtitles import LanguageRecord, SubtitleRecord
from tapemill.storage.typed_json import OPTIONAL, UNKNOWN, fields_of

RECORDS: Final[Mapping[str, type]] = {
    "audio": AudioRecord,
    "capture": Capture,
    "capture_sha256": CaptureHashes,
    "clip": ClipRecord,
    "language": LanguageRecord,
    "provenance": Provenance,
    "subtitles": SubtitleRecord,
}
"""Models by the name of their schema in config/schemas."""
DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

SIMPLE: Final[Mapping[Any, Schema]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    Fraction: {"type": "string", "pattern": r"^-?\d+/\d+$"},
    Any: {},
}


def schema_text(name: str) -> str:
    """Return the schema of a record as YAML."""
    model = RECORDS[name]
    definitions: dict[str, Schema] = {}
    top = _object(model, definitions)
    schema = {"$schema": DRAFT, "title": model.__name__, **top, "$defs": dict(sorted(definitions.items()))}
    source = model.__module__.replace(".", "/")
    body = yaml.dump(schema, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return f"# Written by `make docs` from scripts/{source}.py, do not edit.\n{body}"


def write_schemas(folder: Path) -> None:
    """Write all schemas to a folder, each as NAME.schema.yaml."""
    for name in RECORDS:
        (folder / f"{name}.schema.yaml").write_text(schema_text(name), encoding="utf-8")


class _Dumper(yaml.SafeDumper):
    """Dumper that indents lists and never writes aliases."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _object(model: Any, definitions: dict[str, Schema]) -> Schema:
    """Schema of a dataclass; those of dataclasses in it are added to `definitions`."""
    texts = _descriptions(model)
    properties: dict[str, Schema] = {}
    required: list[str] = []
    is_open = False
    for field, hint in fields_of(model):
        if field.metadata.get(UNKNOWN):
            is_open = True
            continue
        is_optional = bool(field.metadata.get(OPTIONAL))
        required += [] if is_optional else [field.name]
        schema = _type(_without_none(hint) if is_optional else hint, definitions)
        properties[field.name] = _described(schema, texts.get(field.name))
    for name in getattr(model, "written_properties", ()):
        getter = inspect.getattr_static(model, name).fget
        hint = typing.get_type_hints(getter)["return"]
        properties[name] = _described(_type(hint, definitions), inspect.getdoc(getter))
        required.append(name)
    head: Schema = {"description": _one_line(inspect.getdoc(model) or ""), "type": "object"}
    # Records of other versions may have more keys.
    head |= {} if is_open else {"additionalProperties": False}
    return head | {"required": required, "properties": properties}


def _without_none(hint: Any) -> Any:
    """An optional field is missing rather than null."""
    members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else ()
    return Union[tuple(each for each in members if each is not type(None))] if members else hint  # noqa: UP007  at run time


def _described(schema: Schema, text: str | None) -> Schema:
    return {"description": _one_line(text), **schema} if text else schema


def _type(hint: Any, definitions: dict[str, Schema]) -> Schema:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        constraint = {key: value for key, value in dataclasses.asdict(arguments[1]).items() if value is not None}
        return _type(arguments[0], definitions) | constraint
    if origin in (Union, types.UnionType):
        return _union([_type(each, definitions) for each in arguments])
    if origin is Literal:
        return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
    if origin in (tuple, Mapping):
        return (_list if origin is tuple else _mapping)(arguments, definitions)
    return _reference(hint, definitions) if dataclasses.is_dataclass(hint) else dict(SIMPLE[hint])


def _reference(model: Any, definitions: dict[str, Schema]) -> Schema:
    if model.__name__ not in definitions:
        definitions[model.__name__] = {}
        definitions[model.__name__] = _object(model, definitions)
    return {"$ref": f"#/$defs/{model.__name__}"}


def _union(members: list[Schema]) -> Schema:
    # Other keywords than `type` concern values of one type only: null beside them needs no branch.
    *others, last = members
    if last == {"type": "null"} and len(others) == 1 and isinstance(others[0].get("type"), str):
        return {**others[0], "type": [others[0]["type"], "null"]}
    return {"anyOf": members}


def _mapping(arguments: tuple[Any, ...], definitions: dict[str, Schema]) -> Schema:
    values = _type(arguments[1], definitions)
    return {"type": "object", **({"additionalProperties": values} if values else {})}


def _list(arguments: tuple[Any, ...], definitions: dict[str, Schema]) -> Schema:
    if arguments[-1] is Ellipsis:
        return {"type": "array", "items": _type(arguments[0], definitions)}
    items = [_type(each, definitions) for each in arguments]
    same = {"items": items[0]} if all(each == items[0] for each in items) else {"prefixItems": items}
    return {"type": "array", **same, "minItems": len(items), "maxItems": len(items)}


def _descriptions(model: Any) -> dict[str, str]:
    """Docstrings below the fields of a dataclass and of its bases."""
    texts: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if dataclasses.is_dataclass(base):
            (tree,) = ast.parse(inspect.getsource(typing.cast(type, base))).body
            assert isinstance(tree, ast.ClassDef)
            for field, text in zip(tree.body, tree.body[1:], strict=False):
                match field, text:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(found))):
                        texts[name] = found
    return texts


def _one_line(text: str) -> str:
    return " ".join(text.split())
