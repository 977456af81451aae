from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from motionloom.models.checkpoints.assemble import assemble, check_fit, empty
from motionloom.models.checkpoints.float8 import Float8Linear

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "loading.py"


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(4)
        self.ff = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2, bias=False))
        self.register_buffer("count", torch.tensor(3))
        self.register_buffer("table", torch.arange(4.0), persistent=False)


def filled(**types: torch.dtype) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        name: torch.randn(tensor.shape).to(types.get(name.replace(".", "_"), torch.bfloat16))
        if tensor.is_floating_point()
        else tensor
        for name, tensor in Small().state_dict().items()
    }


def test_empty_models_have_buffers_but_no_parameters() -> None:
    model = empty(Small)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert model.get_buffer("table").tolist() == [0, 1, 2, 3]


def test_types(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = filled(norm1_bias=torch.float64, ff_1_weight=torch.float8_e4m3fn)
    kept = assemble(empty(Small), tensors.items(), compute_dtype=torch.float16)
    assert {name: parameter.dtype for name, parameter in kept.named_parameters()} == {
        "norm1.weight": torch.bfloat16,
        "norm1.bias": torch.float64,
        "ff.0.weight": torch.bfloat16,
        "ff.0.bias": torch.bfloat16,
        "ff.1.weight": torch.float16,
    }
    wide = assemble(empty(Small), tensors.items(), dtype=torch.bfloat16, keep_in_fp32=["norm1", "norm"])
    assert wide.norm1.weight.dtype == wide.norm1.bias.dtype == torch.float32
    assert wide.ff[0].weight.dtype == wide.ff[1].weight.dtype == torch.bfloat16
    assert wide.get_buffer("count").dtype == torch.int64
    assert torch.equal(wide.ff[1].weight, tensors["ff.1.weight"].bfloat16())


def test_only_linear_layers_outside_float32_parts_stay_float8() -> None:
    tensors = filled(
        norm1_weight=torch.float8_e4m3fn, ff_0_weight=torch.float8_e4m3fn, ff_0_bias=torch.float8_e4m3fn,
        ff_1_weight=torch.float8_e5m2,
    )  # fmt: skip
    scales = {"ff.0": torch.tensor([[0.5]]), "ff.1": torch.tensor([[2.0], [3.0]])}
    options = {"dtype": torch.float32, "scales": scales, "keep_float8": True}
    model = assemble(empty(Small), tensors.items(), **options)
    first, second = model.ff
    assert isinstance(first, Float8Linear)
    assert isinstance(second, Float8Linear)
    assert second.bias is None
    assert (first.weight.dtype, second.weight.dtype) == (torch.float8_e4m3fn, torch.float8_e5m2)
    assert first.bias.dtype == model.norm1.weight.dtype == torch.float32
    x = torch.randn(3, 4)
    expected = (x @ (tensors["ff.0.weight"].float() * 0.5).T + tensors["ff.0.bias"].float()) @ (
        tensors["ff.1.weight"].float() * torch.tensor([[2.0], [3.0]])
    ).T
    assert torch.allclose(model.ff(x), expected, atol=1e-6)
    inside = assemble(empty(Small), tensors.items(), **options, keep_in_fp32=["0"])
    assert type(inside.ff[0]) is nn.Linear
    assert torch.equal(inside.ff[0].weight, tensors["ff.0.weight"].float() * 0.5)


def test_nothing_of_the_source_is_kept() -> None:
    tensors = filled()
    model = assemble(empty(Small), tensors.items())
    for tensor in tensors.values():
        tensor.zero_()
    assert all(parameter.abs().sum() > 0 for parameter in model.parameters())


def test_incomplete_and_foreign_tensors(refused: Callable[..., str]) -> None:
    tensors = filled()
    assert "ff.9.weight: a tensor the model does not have" in refused(
        assemble, empty(Small), {**tensors, "ff.9.weight": torch.ones(1)}.items()
    )
    del tensors["ff.0.bias"], tensors["norm1.weight"]
    assert "2 tensors of the model were not given (norm1.weight, ff.0.bias)" in refused(
        assemble, empty(Small), tensors.items()
    )
    assert assemble(empty(Small), tensors.items(), optional=["ff.0.bias", "norm1.weight"]).ff[0].bias.is_meta


def test_fit_is_told_with_numbers_and_names(refused: Callable[..., str]) -> None:
    expected = {f"a{number}": (2, 3) for number in range(6)} | {"tied": (1,)}
    found = {"a0": (2, 3), "a1": (3, 2), "b": (1,)}
    message = refused(check_fit, expected, found, origin="here", guess="A cat", optional=["tied"])
    assert message == (
        "here: its tensors are not those of the model (3 found, 7 expected): 4 missing (a2; a3; a4; ...), "
        "1 unexpected (b), 1 of another shape (a1: file [3, 2], model [2, 3]). A cat"
    )
    check_fit({"a": (1,), "tied": (1,)}, {"a": (1,)}, origin="here", optional=["tied"])


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the kernel's count of resident memory")
def test_loading_peaks_below_the_model_and_one_file(tmp_path: Path) -> None:
    """Proportionally smaller than 14B in shards of 10 GB: 300 MB in shards of 100, one tensor at most 25."""
    numbers = tmp_path / "loading.json"
    command = [sys.executable, str(BENCHMARK), "--megabytes", "300", "--shards", "3", "--json", str(numbers)]
    subprocess.run(command, check=True, capture_output=True)
    layouts = json.loads(numbers.read_text())["layouts"]
    assert len(layouts) >= 7
    for name, sizes in layouts.items():
        assert sizes["peak"] < sizes["model"] + sizes["file"], name
        assert sizes["files"] > 50e6, name
