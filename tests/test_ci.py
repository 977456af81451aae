"""The script every change has to pass, run with a stand-in for make."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "run"
PASSED = "===== 3 passed, 1 skipped in 0.10s ====="


@pytest.mark.parametrize(
    ("results", "code", "words"),
    [
        ({}, 0, ""),
        ({"setup": 2}, 2, ""),
        ({"lint": 1}, 1, "failed: lint"),
        ({"types": 1}, 1, "failed: types"),
        ({"test": 1}, 1, "failed: test"),
        ({"lint": 1, "types": 1, "test": 1}, 1, "failed: lint types test"),
        ({"report": "no tests ran in 0.01s", "test": 5}, 1, "failed: test test (none ran)"),
        ({"report": "10 skipped in 0.01s"}, 1, "failed: test (none ran)"),
        ({"report": "0 passed, 3 deselected"}, 1, "failed: test (none ran)"),
        ({"report": ""}, 1, "failed: test (none ran)"),
    ],
)
def test_any_failure_fails_the_whole(results, code, words, tmp_path):
    steps = "".join(f'[ "$1" = {step} ] && exit {status}\n' for step, status in results.items() if step != "report")
    make = tmp_path / "make"
    make.write_text(
        f'#!/bin/sh\necho "$1" >> {tmp_path}/steps\n'
        f'[ "$1" = test ] && echo "{results.get("report", PASSED)}" && echo "$PYTEST_FLAGS$PYTEST_ADDOPTS"\n'
        f"{steps}exit 0\n"
    )
    make.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTEST_FLAGS": "99 passed",
        "TMPDIR": str(tmp_path),
    }
    environment["PYTEST_ADDOPTS"] = "--collect-only"
    done = subprocess.run(["bash", SCRIPT], env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert done.stderr.strip().endswith(words)
    expected = ["setup"] if "setup" in results else ["setup", "lint", "types", "test"]
    assert (tmp_path / "steps").read_text().split() == expected
    assert list(tmp_path.glob("tmp.*")) == []
