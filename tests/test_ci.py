"""The script every change has to pass, run with a stand-in for make."""

import os
import shutil
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
        ({"client": 1}, 1, "failed: client"),
        ({"client-test": 1}, 1, "failed: client-test"),
        ({"lint": 1, "types": 1, "test": 1}, 1, "failed: lint types test"),
        ({"report": "no tests ran in 0.01s", "test": 5}, 1, "failed: test test (none ran)"),
        ({"report": "10 skipped in 0.01s"}, 1, "failed: test (none ran)"),
        ({"report": "0 passed, 3 deselected"}, 1, "failed: test (none ran)"),
        ({"report": ""}, 1, "failed: test (none ran)"),
    ],
)
def test_any_failure_fails_the_whole(results, code, words, tmp_path):
    done = run_with_make(results, tmp_path, {"CHROMIUM": "/a/browser"})
    assert done.returncode == code, done.stderr
    assert done.stderr.strip().endswith(words)
    steps = ["setup", "client", "lint", "types", "client-test", "test"]
    assert (tmp_path / "steps").read_text().split() == (["setup"] if "setup" in results else steps)
    assert list(tmp_path.glob("tmp.*")) == []


@pytest.mark.parametrize(
    ("there", "install", "asked", "words"),
    [
        (["chromium"], 0, "", ""),
        (["google-chrome-stable"], 0, "", ""),
        (["apt-get"], 0, "apt-get update -qq\napt-get install -y -qq chromium\n", ""),
        (["apt-get"], 1, "apt-get update -qq\npython -m playwright install chromium\n", ""),
        ([], 0, "python -m playwright install chromium\n", ""),
        ([], 1, "python -m playwright install chromium\n", "failed: browser"),
    ],
)
def test_a_browser_is_found_or_installed(there, install, asked, words, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "cat", "dirname", "grep", "mktemp", "rm", "tee"):
        (programs / name).symlink_to(shutil.which(name))
    (tmp_path / "bin").mkdir()
    said = f'echo "${{0##*/}} $@" >> "{tmp_path}/asked"; exit'
    for name in there:
        script(programs / name, f"{said} {install}")
    script(programs / "id", "echo 0")
    # Where apt-get is there and fails, Playwright's own browser does.
    script(tmp_path / "bin" / "python", f"{said} {0 if there else install}")
    done = run_with_make({}, tmp_path, {"CHROMIUM": "", "PATH": str(programs), "VENV": str(tmp_path)})
    assert done.stderr.strip() == words
    assert done.returncode == bool(words)
    assert ((tmp_path / "asked").read_text() if (tmp_path / "asked").exists() else "") == asked


def script(file, text):
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def run_with_make(results, tmp_path, environment):
    """The script with a ``make`` that answers as ``results`` says: exit codes by step, and what the tests report."""
    steps = "".join(f'[ "$1" = {step} ] && exit {status}\n' for step, status in results.items() if step != "report")
    script(
        tmp_path / "make",
        f'echo "$1" >> {tmp_path}/steps\n'
        f'[ "$1" = test ] && echo "{results.get("report", PASSED)}" && echo "$PYTEST_FLAGS$PYTEST_ADDOPTS"\n'
        f'[ "$MOTIONLOOM_REQUIRE_BROWSER" = 1 ] || exit 9\n{steps}exit 0',
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), **environment}
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    environment |= {"PYTEST_FLAGS": "99 passed", "PYTEST_ADDOPTS": "--collect-only"}
    return subprocess.run([shutil.which("bash"), SCRIPT], env=environment, capture_output=True, text=True)
