"""The walk in docs/studio-api.md, run as it stands against a server with a worker."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from motionloom.media import Clip, read_provenance
from motionloom.studio.client import StudioClient
from motionloom.studio.connection import StudioError
from motionloom.tracks.formats import detect

PAGE = Path(__file__).parents[2] / "docs" / "studio-api.md"


def blocks():
    return re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_page_names_every_code_with_its_status():
    from motionloom.studio.problems import STATUS

    text = PAGE.read_text(encoding="utf-8")
    for code, status in STATUS.items():
        assert re.search(rf"`{code}`[^.]*? {status}", text.replace("\n", " ")), code


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="needs curl and bash")
def test_the_walk_works_as_it_stands(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["studio", "--port", str(port), "--data-dir", str(tmp_path / "data"), "--device", "cpu", "--no-open"]
    server = subprocess.Popen([sys.executable, "-m", "motionloom", *command])
    try:
        studio = StudioClient(f"http://127.0.0.1:{port}")
        for _ in range(600):
            try:
                studio.server()
                break
            except StudioError:
                time.sleep(0.1)
        walk = tmp_path / "walk"
        walk.mkdir()
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "python").symlink_to(sys.executable)
        environment = {
            **os.environ,
            "STUDIO": f"http://127.0.0.1:{port}",
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "no_proxy": "127.0.0.1",
        }
        script = "set -euo pipefail\n" + "\n".join(blocks())
        done = subprocess.run(
            ["bash", "-c", script], cwd=walk, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    finally:
        server.terminate()
        server.wait(30)
    said = done.stdout.splitlines()
    assert said[1] == "warp"
    assert "size" in said
    assert "done" in said
    assert detect(walk / "motion.pth").format == "ati"
    assert Clip.load(walk / "walk.mp4").num_frames == 17
    assert Clip.load(walk / "walk.gif").num_frames == 17
    assert read_provenance(walk / "walk.mp4")["model"]["name"] == "warp"
    assert Clip.load(walk / "preview.mp4").num_frames == 49
    assert "conflict" not in done.stderr
