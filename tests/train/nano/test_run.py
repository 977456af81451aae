"""The training loop: what it leaves behind, how it goes on, and that it is the same however often it stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from motionloom.errors import Cancelled, CheckpointError, InputError
from motionloom.models.nano.codec import BlockCodec
from motionloom.train.nano import NanoRecipe, Stage, run, train
from motionloom.train.nano.codecs import load_codec

TINY = NanoRecipe(
    width=64,
    layers=1,
    latent_channels=8,
    wavelengths=(64.0,),
    codec_clips=2,
    warmup_steps=2,
    style="simple",
    pool=32,
    stages=(Stage(16, 2, 1.0), Stage(16, 2, 1.0, view=0.5)),
)


def stop_after(steps: int):
    def on_progress(facts):
        if facts["step"] >= steps:
            raise Cancelled("stopped")

    return on_progress


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoint.safetensors")


def step_of(folder: Path) -> int:
    with safe_open(folder / "checkpoint.safetensors", "pt") as file:
        return json.loads(file.metadata()["training"])["step"]


def assert_same_training(a: Path, b: Path) -> None:
    one, other = weights(a), weights(b)
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], atol=1e-6, rtol=1e-5, msg=name)


@pytest.mark.slow
def test_a_run_that_was_stopped_equals_one_that_was_not(tmp_path: Path):
    for name, stops in (("whole", []), ("parts", [2])):
        for stop in stops:
            with pytest.raises(Cancelled):
                train(tmp_path / name, steps=4, recipe=TINY, validation_clips=0, on_progress=stop_after(stop))
            assert step_of(tmp_path / name) == stop
        train(tmp_path / name, steps=4, recipe=TINY, validation_clips=0)
    assert step_of(tmp_path / "parts") == 4
    assert_same_training(tmp_path / "whole", tmp_path / "parts")
    moments = [name for name in weights(tmp_path / "whole") if name.endswith(".exp_avg")]
    assert moments


@pytest.mark.slow
def test_a_scaled_recipe_takes_larger_batches_from_a_larger_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen = []

    def batch(pool, step, size, plain=run.ClipPool.batch):
        clips = plain(pool, step, size)
        seen.append((pool.group, pool.groups, len(clips.latents)))
        return clips

    monkeypatch.setattr(run.ClipPool, "batch", batch)
    train(tmp_path, steps=1, recipe=replace(TINY, batch_scale=3), validation_clips=0)
    assert seen == [(48, 2, 6)]


@pytest.mark.slow
def test_what_a_run_leaves_behind(tmp_path: Path):
    told = []
    folder = train(tmp_path, steps=2, recipe=TINY, validation_clips=2, on_progress=told.append)
    assert folder == tmp_path / "nano"
    assert [facts["stage"] for facts in told] == [0, 1, 1]
    assert told[0]["share"] == 0.5
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last == told[-1]
    kinds = {"unguided", "ati", "wan_move", "dense", "boxes", "last_frame"}
    assert {f"psnr_{kind}" for kind in kinds} <= set(last)
    assert {path.name for path in (tmp_path / last["clips"]).iterdir()} == {"00.mp4", "01.mp4", "sheet.png"}
    assert (tmp_path / "curves.png").stat().st_size > 5_000
    facts = json.loads((folder / "training.json").read_text())
    assert (facts["steps"], facts["processes"], "distilled_steps" in facts) == (2, 1, False)
    assert facts["recipe"]["stages"][1]["view"] == 0.5


@pytest.mark.slow
def test_the_model_is_there_before_the_first_step(tmp_path: Path):
    seen = []

    def look(facts):
        seen.append(json.loads((tmp_path / "nano" / "training.json").read_text())["steps"])
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        train(tmp_path, steps=9, recipe=TINY, on_progress=look, checkpoint_every=1e9)
    assert seen == [0]


@pytest.mark.slow
def test_a_log_ahead_of_the_checkpoint_is_rewound(tmp_path: Path):
    with pytest.raises(Cancelled):
        train(tmp_path, steps=9, recipe=TINY, on_progress=stop_after(2))
    lines = [json.dumps({"step": step, "loss": 1.0}) for step in (1, 2, 3, 7)]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + '\n{"step": 8, "lo')
    with pytest.raises(Cancelled):
        train(tmp_path, steps=9, recipe=TINY, on_progress=stop_after(3))
    kept = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert kept[:2] == [1, 2]
    assert all(step <= 3 for step in kept)


@pytest.mark.slow
def test_killed_in_the_middle_the_same_command_goes_on(tmp_path: Path):
    """SIGKILL between two checkpoints, perhaps while one is written: nothing is lost but the steps since the last."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, torch\n"
        "torch.set_num_threads(1)\n"
        "from motionloom.train.nano import NanoRecipe, Stage, train\n"
        f"recipe = {TINY!r}\n"
        "train(sys.argv[1], steps=40, recipe=recipe, validation_clips=0, checkpoint_every=0.0)\n".replace(
            "ConditionMix", "__import__('motionloom.train.conditions', fromlist=['x']).ConditionMix"
        )
    )
    command = [sys.executable, str(program), str(tmp_path / "killed")]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "killed" / "checkpoint.safetensors"
    try:
        while process.poll() is None and not (checkpoint.exists() and step_of(tmp_path / "killed") >= 5):
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    reached = step_of(tmp_path / "killed")
    assert 5 <= reached < 40
    from motionloom.models.loading import load

    assert load(tmp_path / "killed" / "nano").card.num_frames == 17
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    assert step_of(tmp_path / "killed") == 40
    train(tmp_path / "whole", steps=40, recipe=TINY, validation_clips=0)
    assert_same_training(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.slow
def test_stopping_leaves_a_model_that_makes_clips(tmp_path: Path):
    from motionloom.models.loading import load

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, budget=1e6, recipe=TINY, on_progress=_interrupt)
    model = load(tmp_path / "nano")
    assert json.loads((tmp_path / "nano" / "training.json").read_text())["steps"] == 1
    clip = model.generate(np.full((32, 32, 3), 90, np.uint8), None, size=(32, 32), num_frames=5, num_inference_steps=1)
    assert clip.frames.shape == (5, 32, 32, 3)


@pytest.mark.slow
def test_learned_codec_trains_and_loads(tmp_path: Path):
    """The same recipe with a small AutoencoderKLWan: same layout, same loading."""
    from motionloom.models.loading import load

    recipe = replace(TINY, codec="vae", vae_share=1e-9)
    train(tmp_path, steps=1, recipe=recipe, validation_clips=1)
    model = load(tmp_path / "nano", method="wan_move")
    assert type(model.pipeline.vae).__name__ == "AutoencoderKLWan"  # type: ignore[attr-defined]
    assert model.pipeline.vae_scale_factor_spatial == 4  # type: ignore[attr-defined]
    clip = model.generate(np.full((32, 32, 3), 90, np.uint8), None, size=(32, 32), num_frames=5, num_inference_steps=1)
    assert clip.frames.shape == (5, 32, 32, 3)


@pytest.mark.slow
def test_a_budget_of_time_ends_by_the_clock(tmp_path: Path):
    told = []
    train(tmp_path, budget=0.5, recipe=TINY, validation_clips=0, on_progress=told.append)
    assert told[-1]["elapsed"] >= told[-2]["elapsed"] if len(told) > 1 else told[-1]["step"] == 1
    assert step_of(tmp_path) == told[-1]["step"]
    more = []
    train(tmp_path, budget=0.5, recipe=TINY, validation_clips=0, on_progress=more.append)
    assert more == []  # it is spent


@pytest.mark.slow
def test_refuses_another_recipe_and_earlier_training(tmp_path: Path):
    train(tmp_path, steps=1, recipe=TINY, validation_clips=0)
    with pytest.raises(CheckpointError, match="different: learning_rate"):
        train(tmp_path, steps=2, recipe=replace(TINY, learning_rate=0.5))
    with pytest.raises(InputError, match="holds an earlier training"):
        train(tmp_path, steps=2, recipe=TINY, resume=False)


def test_refuses_the_codec_of_another_recipe(tmp_path: Path):
    """A run that was killed before its first checkpoint leaves a codec, and nothing else that says what it was."""
    (tmp_path / "codec").mkdir()
    BlockCodec(z_dim=12, wavelengths=(32.0,)).save_pretrained(tmp_path / "codec")
    (tmp_path / "codec" / "training.json").write_text('{"seconds": 1}')
    assert load_codec(tmp_path, replace(TINY, wavelengths=(32.0,))).config["z_dim"] == 12
    for recipe in (TINY, replace(TINY, wavelengths=()), replace(TINY, codec="vae", latent_channels=12)):
        with pytest.raises(CheckpointError, match="made for another recipe: a BlockCodec of 12 channels"):
            train(tmp_path, steps=1, recipe=recipe)


def test_objectives_are_looked_up_before_the_first_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def missing(kind: str):
        if kind == "few_steps":
            raise ImportError("nowhere")
        return lambda lesson: pytest.fail("a step was made")

    monkeypatch.setattr(run, "objective", missing)
    with pytest.raises(ImportError, match="nowhere"):
        train(tmp_path, steps=9, recipe=replace(TINY, stages=(*TINY.stages, Stage(16, 2, 1.0, kind="few_steps"))))


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan")])
def test_refuses_no_budget(tmp_path: Path, budget: float):
    with pytest.raises(InputError, match="budget"):
        train(tmp_path, budget=budget)
    with pytest.raises(InputError, match="steps"):
        train(tmp_path, steps=0)


def _interrupt(facts):
    raise KeyboardInterrupt
