"""What a training holds: nothing is learnt from what is no number, and a checkpoint is all there is to know."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from motionloom.errors import CheckpointError
from motionloom.train.state import TrainingState, adamw, mixed_precision

RECIPE = {"rate": 0.1, "stages": (1, 2)}


def state(averaging: float = 0.9) -> TrainingState:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    return TrainingState(module, adamw(module.parameters(), 0.1, 0.01), averaging=averaging)


def step(held: TrainingState, seed: int, scale: float = 1.0) -> None:
    inputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed))
    held.add(scale * (held.module(inputs) - 1).square().mean())
    held.update(learning_rate=0.05, clip=1.0)


def values(held: TrainingState) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in held.module.state_dict().items()}


def test_the_average_follows_and_keeps_counts_as_they_are():
    held = state(averaging=0.5)
    before = values(held)
    step(held, 0)
    after = values(held)
    keep = min(0.5, 1 / 10)
    torch.testing.assert_close(held.average["0.weight"], keep * before["0.weight"] + (1 - keep) * after["0.weight"])
    assert not torch.equal(before["0.weight"], after["0.weight"])
    assert int(held.average["1.num_batches_tracked"]) == 1


@pytest.mark.parametrize(("scale", "name"), [(float("nan"), "loss"), (float("inf"), "loss"), (3e37, "gradient")])
def test_no_weight_is_changed_by_what_is_no_number(scale: float, name: str):
    held = state()
    step(held, 0)
    weights, average = values(held), {key: value.clone() for key, value in held.average.items()}
    with pytest.raises(CheckpointError, match=f"the {name} became (nan|inf) at step 1"):
        step(held, 1, scale)
    for key, parameter in held.module.named_parameters():
        assert torch.equal(parameter, weights[key])
    assert all(torch.equal(held.average[key], average[key]) for key in average)
    assert held.step == 1


def test_a_checkpoint_is_gone_on_from_exactly(tmp_path: Path):
    held = state()
    for seed in range(2):
        step(held, seed)
    held.elapsed = 12.5
    held.save(tmp_path / "checkpoint.safetensors", RECIPE)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    again = state()
    again.load(tmp_path / "checkpoint.safetensors", RECIPE)
    assert (again.step, again.elapsed) == (2, 12.5)
    for each in (held, again):
        step(each, 7)
    for key, value in values(held).items():
        assert torch.equal(value, values(again)[key]), key
        assert torch.equal(held.average[key], again.average[key]), key


def test_other_recipes_and_damaged_files_are_refused(tmp_path: Path):
    path = tmp_path / "checkpoint.safetensors"
    state().save(path, RECIPE)
    with pytest.raises(CheckpointError, match=r"different: rate, width"):
        state().load(path, {**RECIPE, "rate": 0.2, "width": 8})
    state().load(path, {**RECIPE, "width": 8}, {"width": 8})  # what an earlier version did not write down
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="is damaged"):
        state().load(path, RECIPE)


@pytest.mark.parametrize("fast", [True, False])
def test_half_precision_where_the_gpu_has_it(monkeypatch: pytest.MonkeyPatch, fast: bool):
    """GPUs before Ampere emulate bfloat16, slower than float32."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or fast)
    entered: list[tuple[str, torch.dtype]] = []
    monkeypatch.setattr(torch, "autocast", lambda device, dtype: entered.append((device, dtype)))
    mixed_precision(torch.device("cuda"))
    assert entered == ([("cuda", torch.bfloat16)] if fast else [])
    mixed_precision(torch.device("meta"))
    assert len(entered) == int(fast)
