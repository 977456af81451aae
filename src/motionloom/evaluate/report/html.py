"""The page: one file that needs nothing else, and is allowed nothing else by its own content security policy."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

SCRIPTS = ("base.js", "summary.js", "compare.js", "plots.js", "player.js", "cases.js", "main.js")


def page(data: Mapping[str, Any]) -> str:
    """The HTML of what `motionloom.evaluate.report.data.page_data` found.

    The policy allows the page's own style and script alone, by their hashes, so that not even text that was escaped
    wrongly could run; no address of the network is allowed at all.
    """
    script = "(() => {\n'use strict';\n" + "\n".join(_part(name) for name in SCRIPTS) + "\n})();\n"
    style = _part("style.css")
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "img-src data: blob:; media-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    values = {
        "policy": html.escape(policy, quote=False),
        "title": html.escape(str(data["title"])),
        "style": style,
        "script": script,
        "data": embedded(data),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], _part("page.html"))


def embedded(data: Mapping[str, Any]) -> str:
    """JSON that no text in it can end: nothing in it looks like markup."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _part(name: str) -> str:
    return (files("motionloom.evaluate.report") / "page" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
