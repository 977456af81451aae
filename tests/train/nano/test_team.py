"""Several processes training one model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from motionloom.errors import InputError
from motionloom.train.nano.team import Team

PROGRAM = """
import json, sys
import numpy as np
import torch

torch.set_num_threads(1)
from motionloom.errors import Cancelled
from motionloom.train.nano import NanoRecipe, Stage, run, team, train

out, steps, stop = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
recipe = NanoRecipe(width=64, layers=1, latent_channels=8, wavelengths=(64.0,), codec_clips=2, warmup_steps=2,
                    style="simple", pool=32, stages=(Stage(16, 2, 1.0),))
seen = {"before": [], "after": [], "points": []}
member = []
mean, batch = team.Team.average, run.ClipPool.batch

def average(self, parameters):
    parameters = list(parameters)
    seen["before"].append(float(sum(p.grad.double().sum() for p in parameters if p.grad is not None)))
    mean(self, parameters)
    seen["after"].append(float(sum(p.grad.double().sum() for p in parameters)))
    member[:] = [self.rank, self.size, sum(float(p.detach().double().abs().sum()) for p in parameters)]

def clips(self, step, size):
    drawn = batch(self, step, size)
    seen["points"].append(float(drawn.points.double().sum()))
    return drawn

team.Team.average, run.ClipPool.batch = average, clips

def on_progress(facts):
    if facts["step"] == stop:
        raise Cancelled("stopped")

try:
    train(out, steps=steps, recipe=recipe, device="cpu", validation_clips=1, on_progress=on_progress)
except Cancelled:
    pass
rank, size, weight = member
with open(f"{sys.argv[4]}.{rank}.json", "w") as file:
    json.dump({"size": size, "weight": weight, **seen}, file)
"""


def launch(folder: Path, name: str, out: str, steps: int, stop: int = -1) -> list[dict]:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, str(program), str(folder / out), str(steps), str(stop), str(folder / name)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"{name}.{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.slow
def test_two_processes_train_one_model_on_clips_of_their_own(tmp_path: Path):
    first, second = launch(tmp_path, "whole", "whole", 3)
    assert (first["size"], second["size"]) == (2, 2)
    assert set(first["points"]).isdisjoint(second["points"])
    assert first["after"] == second["after"]
    for mean, *parts in zip(first["after"], first["before"], second["before"], strict=True):
        assert mean == pytest.approx(sum(parts) / 2, rel=1e-4, abs=1e-4)
        assert parts[0] != parts[1]
    assert first["weight"] == second["weight"]
    lines = (tmp_path / "whole" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines if "psnr_ati" in line] == [3]  # the first process alone writes
    assert json.loads((tmp_path / "whole" / "nano" / "training.json").read_text())["processes"] == 2

    launch(tmp_path, "stopped", "parts", 3, stop=1)
    with safe_open(tmp_path / "parts" / "checkpoint.safetensors", "pt") as file:
        assert json.loads(file.metadata()["training"])["step"] == 1
    launch(tmp_path, "resumed", "parts", 3)
    whole, parts = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "parts"))
    for name, value in whole.items():
        torch.testing.assert_close(value, parts[name], atol=1e-6, rtol=1e-5, msg=name)


@pytest.mark.parametrize(("device", "said"), [("gpu", "expected cpu, cuda"), ("cuda:99", "leave it out, or say cpu")])
def test_devices_that_are_not_there(device: str, said: str):
    with pytest.raises(InputError, match=f"device: found '{device}'.*{said}"):
        Team(device)


def test_alone_nothing_is_shared():
    team = Team("cpu")
    assert (team.rank, team.size, team.leads, team.device.type) == (0, 1, True, "cpu")
    weight = torch.nn.Parameter(torch.ones(3))
    weight.grad = torch.tensor([1.0, 2.0, 3.0])
    team.average([weight])
    assert weight.grad.tolist() == [1.0, 2.0, 3.0]
    assert team.agree(2.5) == 2.5
    team.wait()
