"""What every benchmark prints above its numbers: the machine and the versions they were measured with."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any


def header() -> dict[str, Any]:
    """Date, processor, cores and versions, as JSON values."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": version("torch"),
    }


def write(results: dict[str, Any], path: str | None) -> None:
    """Write results with their header to a JSON file, if one was asked for."""
    if path is not None:
        Path(path).write_text(json.dumps({"header": header(), **results}, indent=2) + "\n")


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
