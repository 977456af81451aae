"""The browser's types from the schemas.

``python -m motionloom.studio.typescript`` writes ``client/src/api/types.ts``.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from motionloom.studio import schemas

TARGET = Path(__file__).parent / "client" / "src" / "api" / "types.ts"

_HEAD = """// Made by `python -m motionloom.studio.typescript` from studio/schemas.py; edit that file instead.

import type { MotionDocument } from "../motion/document";
"""


def typescript() -> str:
    """TypeScript interfaces of every request and answer, in the order of the file."""
    shown = [
        value
        for value in vars(schemas).values()
        if inspect.isclass(value) and issubclass(value, BaseModel) and value.__module__ == schemas.__name__
    ]
    shown = [model for model in shown if model not in (schemas.Request, schemas.Answer)]
    parts = [_HEAD]
    for model in shown:
        # What a request may leave out an answer always has.
        mode = "validation" if issubclass(model, schemas.Request) else "serialization"
        _, schema = models_json_schema([(model, mode)])
        parts.append(_interface(model.__name__, schema["$defs"][model.__name__]))
    return "\n".join(parts)


def _interface(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", []))
    lines = [f"export interface {name} {{"]
    for key, value in schema.get("properties", {}).items():
        lines.append(f"  {key}{'' if key in required else '?'}: {_type(key, value)};")
    return "\n".join([*lines, "}", ""])


def _type(key: str, schema: dict[str, Any]) -> str:
    if key == "motion":
        return "MotionDocument | null" if "anyOf" in schema else "MotionDocument"
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[1]
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(key, part) for part in schema["anyOf"]))
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        if "prefixItems" in schema:
            return "[" + ", ".join(_type("", part) for part in schema["prefixItems"]) + "]"
        inner = _type("", schema["items"])
        return f"({inner})[]" if " " in inner else f"{inner}[]"
    if kind == "object":
        extra = schema.get("additionalProperties")
        return f"Record<string, {_type('', extra) if isinstance(extra, dict) else 'unknown'}>"
    return {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}[
        str(kind)
    ]


def main() -> None:
    """Write the file."""
    TARGET.write_text(typescript(), encoding="utf-8")


if __name__ == "__main__":
    main()
