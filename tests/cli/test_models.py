"""motionloom models: what it says, in 80 columns and as JSON, and what fetch does on the command line."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import runpy
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from motionloom.models import catalog
from motionloom.models.card import HubFile

FakeHub = runpy.run_path(str(Path(__file__).parents[1] / "models" / "fake_hub.py"))["FakeHub"]
CONTENT = bytes(range(256)) * 40


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with one small model, "mine", which the catalogue knows."""
    hub = FakeHub()
    hub.files["maker/mine"] = {"weights.safetensors": CONTENT, "config.json": b"{}"}
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    mine = replace(
        catalog.find_model("ati"),
        name="mine",
        aliases=(),
        files=(
            HubFile("maker/mine", "weights.safetensors", "transformer", 10240, hashlib.sha256(CONTENT).hexdigest()),
            HubFile("maker/mine", "config.json", "transformer", 2),
        ),
        size_on_disk=10242,
    )
    monkeypatch.setattr(catalog.catalog_cards, "published", lambda: [mine])
    yield hub
    hub.close()


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.mark.slow
def test_fetch_path_list_and_show(hub, call, tmp_path):
    assert [card["state"] for card in json.loads(call("models", "list", "--json").out)] == ["complete"] * 2 + ["no"]
    dry = call("models", "fetch", "mine", "--dry-run")
    assert dry.code == 0
    assert dry.lines[0] == f"maker/mine -> {tmp_path}/models/maker--mine/"
    assert dry.lines[1].split() == ["download", "10", "kB", "weights.safetensors"]
    assert dry.lines[-1] == "mine: 10 kB to fetch"
    assert not (tmp_path / "models").exists()
    done = call("models", "fetch", "mine")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"mine: complete, 10 kB fetched, in {tmp_path}/models/maker--mine\n"
    assert call("models", "fetch", "mine").out.startswith("mine: complete, 0 B fetched")
    assert call("models", "path", "mine").out == f"{tmp_path}/models/maker--mine\n"
    shown = json.loads(call("models", "show", "mine", "--json").out)
    assert (shown["state"], shown["installed"]) == ("complete", True)
    assert shown["files"][0]["size"] == 10240
    (tmp_path / "models" / "maker--mine" / "config.json").unlink()
    assert json.loads(call("models", "path", "mine", "--json").out)["state"] == "partly"
    again = json.loads(call("models", "fetch", "mine", "--json").out)
    assert (again["state"], again["bytes_fetched"]) == ("complete", 2)


@pytest.mark.slow
def test_a_killed_command_is_resumed_by_the_same_command(tmp_path):
    """SIGKILL in the middle of a file: no chance to clean up, and nothing to clean up."""
    hub = FakeHub()
    content = CONTENT * 400
    hub.files["maker/whole"] = {"model_index.json": b"{}", "vae/weights.safetensors": content}
    hub.cut, hub.silence = {"vae/weights.safetensors": 3_000_000}, 20.0
    environment = {**os.environ, "MOTIONLOOM_MODELS": str(tmp_path), "HF_ENDPOINT": hub.endpoint}
    command = [sys.executable, "-c", "from motionloom.cli import main; main()", "models", "fetch", "maker/whole"]
    place = tmp_path / "maker--whole"
    with subprocess.Popen(command, env=environment) as process:
        for _ in range(400):
            kept = sum(path.stat().st_size for path in place.glob(".motionloom-partial/*weights*"))
            if kept > 1_000_000:
                break
            time.sleep(0.05)
        process.kill()
    assert not (place / "vae" / "weights.safetensors").exists()
    kept = sum(path.stat().st_size for path in place.glob(".motionloom-partial/*weights*"))
    assert kept > 1_000_000
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"complete, {(len(content) - kept) / 1e6:.0f} MB fetched" in done.stdout
    assert hub.resolved("vae/weights.safetensors") == [None, f"bytes={kept}-"]
    assert (place / "vae" / "weights.safetensors").read_bytes() == content
    hub.close()


@pytest.mark.slow
def test_fetch_of_a_hub_id(hub, call, tmp_path):
    hub.files["maker/whole"] = {"model_index.json": b"{}", "vae/config.json": b"{}"}
    done = call("models", "fetch", "maker/whole")
    assert done.out == f"maker/whole: complete, 4 B fetched, in {tmp_path}/models/maker--whole\n"
    hub.files["maker/whole"]["vae/config.json"] = b'{"new": 1}'
    assert call("models", "fetch", "maker/whole").out.startswith("maker/whole: complete, 10 B fetched")
    part = call("models", "fetch", "maker/whole", "--only", "vae", "--dry-run")
    assert part.lines[1].split() == ["keep", "10", "B", "vae/config.json"]
    loose = call("models", "fetch", "maker/mine")
    assert loose.code == 1
    assert "holds no model_index.json" in loose.err


def test_verify_finds_and_replaces_what_was_damaged(hub, call, tmp_path):
    call("models", "fetch", "mine")
    file = tmp_path / "models" / "maker--mine" / "weights.safetensors"
    file.write_bytes(b"x" * 10240)
    assert call("models", "fetch", "mine").code == 0
    assert file.read_bytes() != CONTENT, "sizes agree, nothing was asked"
    assert call("models", "fetch", "mine", "--verify").code == 0
    assert file.read_bytes() == CONTENT


def test_parts_alone(call, empty, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    parts = "text_encoder,tokenizer,vae,image_encoder"
    dry = call("models", "fetch", "wan2.1-i2v-14b-480p", "--only", parts, "--dry-run", "--json")
    files = json.loads(dry.out)["files"]
    assert len(files) == 7
    assert 16e9 < sum(file["size"] for file in files) < 17e9
    wrong = call("models", "fetch", "ati", "--only", "lora")
    assert wrong.code == 2
    assert "--only: ati-14b has transformer, text_encoder, tokenizer, vae, image_encoder, found lora" in wrong.err


def test_refusals_are_readable_and_end_with_1(hub, call):
    hub.gated = {"maker/mine"}
    done = call("models", "fetch", "mine")
    assert done.code == 1
    assert "hf auth login" in done.err
    assert "Traceback" not in done.err
    assert "\n  maker/mine -> " in done.err, "the list keeps its lines"


def test_no_network(call, empty, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    done = call("models", "fetch", "wan-move")
    assert done.code == 1
    assert done.err.startswith("motionloom: wan-move-14b: the hub cannot be reached")
    assert "diffusion_pytorch_model*.safetensors (about 65.6 GB)" in done.err
    dry = call("models", "fetch", "wan-move", "--dry-run", "--json")
    assert dry.code == 0
    assert "cannot be reached" in dry.err
    files = json.loads(dry.out)["files"]
    assert {file["action"] for file in files} == {"missing"}
    assert sum(file["size"] for file in files) > 80e9


def test_what_ships_and_what_does_not_exist(call, empty):
    assert call("models", "fetch", "nano").out == "nano: comes with motionloom, there is nothing to fetch\n"
    assert call("models", "path", "nano").out.rstrip().endswith("nano/weights")
    assert call("models", "path", "warp").code == 2
    unknown = call("models", "fetch", "ati-14")
    assert unknown.code == 2
    assert "did you mean ati-14b" in unknown.err


def test_show_says_everything(call, empty):
    done = call("models", "show", "Wan-Move")
    flat = " ".join(done.out.split())
    for text in (
        "licence Apache-2.0",
        "commercial use yes",
        "clip 832x480, 81 frames at 16 fps",
        "guidance scale 5",
        "noise levels equal steps from 0.999 to 0, then shifted",
        "shift 3 at 0.40 Mpx, 5 at 0.92 Mpx",
        "倒着走",
        "is not established",
        "balanced",
        "a GPU of 24 GB",
        "about 65.6 GB diffusion_pytorch_model*.safetensors",
    ):
        assert text in flat, text


@pytest.mark.parametrize("solver", ["unipc", "dpm++", "euler"])
def test_noise_levels_are_those_that_show_says(solver):
    from motionloom.cli.models import _GRIDS
    from motionloom.methods.wan import published_scheduler

    scheduler = published_scheduler(solver, 1.0)
    scheduler.set_timesteps(4)
    levels = [float(level) for level in scheduler.sigmas]
    first = float(_GRIDS[solver].split("from ")[1].split(" to")[0])
    assert levels == pytest.approx([first, first * 0.75, first * 0.5, first * 0.25, 0.0], abs=1e-6)


@pytest.mark.parametrize("command", [("list",), ("show", "wan-move"), ("show", "circle-rotate")])
def test_readable_in_80_columns(command, tmp_path):
    """On a terminal of 80 columns nothing but names of files and folders is wider, and no word is cut."""
    master, slave = pty.openpty()
    environment = {**os.environ, "MOTIONLOOM_MODELS": str(tmp_path), "COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}
    code = "from motionloom.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "models", *command], stdout=slave, stderr=slave, env=environment
    )
    os.close(slave)
    collected = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        collected += piece
    os.close(master)
    assert process.wait() == 0
    text = collected.decode().replace("\r", "")
    facts = text.split("\nfiles:")[0]
    assert "…" not in facts
    wide = [line for line in facts.splitlines() if len(line) > 80 and str(tmp_path) not in line]
    assert not wide


def test_what_a_model_starts_from_is_said(call, monkeypatch):
    from motionloom.models import catalog
    from motionloom.models.card import ModelCard

    dreamer = ModelCard("dreamer", "", "", "", None, ("tora",), takes_image=False)
    monkeypatch.setattr(catalog, "list_models", lambda: [catalog._warp(), dreamer])
    said = call("models", "list").out
    assert "text to video, from no photograph: dreamer\nimage to video: all others" in said
    assert "text to video; needs no photograph" in call("models", "show", "dreamer").out
    assert "image to video" in call("models", "show", "warp").out
    assert [card["takes_image"] for card in json.loads(call("models", "list", "--json").out)] == [True, False]
