"""How long motionloom takes to begin: importing the package, and the help of the command line.

Run: python benchmarks/startup.py [--repeats N] [--json FILE]
Every run is a fresh interpreter; the time of an empty one is measured too and is not taken off.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import _report

# What is run, and the seconds it should stay under.
CASES: tuple[tuple[str, str, float | None], ...] = (
    ("python", "pass", None),
    ("import motionloom", "import motionloom", 0.3),
    ("motionloom --help", "from motionloom.cli import run; run(['--help'])", 1.0),
    ("motionloom generate --help", "from motionloom.cli import run; run(['generate', '--help'])", 1.0),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="the best of these is reported")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    for name, value in _report.header().items():
        print(f"{name:<8}{value}")
    print(f"\n{'':<28}{'seconds':>8}{'bar':>6}")
    results: dict[str, float] = {}
    for name, code, bar in CASES:
        results[name] = min(seconds(code) for _ in range(arguments.repeats))
        late = "" if bar is None or results[name] < bar else "  over the bar"
        print(f"{name:<28}{results[name]:>8.3f}{'' if bar is None else f'{bar:g}':>6}{late}")
    _report.write({"seconds": results}, arguments.json)


def seconds(code: str) -> float:
    """The time a fresh interpreter takes for ``code``, its own start included."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)  # noqa: S603  our own interpreter
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
