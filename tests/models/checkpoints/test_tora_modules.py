"""Published key lists into the stock transformer and the adapter, at full size without memory."""

from __future__ import annotations

import gzip
import json
import runpy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from motionloom.errors import CheckpointError
from motionloom.methods.tora.checkpoint import is_adapter_name, published_names
from motionloom.models.checkpoints.configs import published_config
from motionloom.models.checkpoints.source import TensorSource, open_source
from motionloom.models.checkpoints.tora_modules import load_adapter, load_transformer, seen_config, shapes_of

MANIFESTS = Path(__file__).parents[2] / "golden" / "manifests"
tiny = runpy.run_path(str(Path(__file__).parents[1] / "tiny_tora.py"))


def manifest(name: str) -> dict[str, Tensor]:
    entries = json.loads(gzip.decompress((MANIFESTS / f"{name}.json.gz").read_bytes()))
    return {
        key: torch.empty(shape, device="meta", dtype=torch.int64 if dtype == "I64" else torch.bfloat16)
        for key, (shape, dtype) in entries.items()
    }


FULL = [
    ("tora-t2v.transformer.diffusers", "cogvideox-5b"),
    ("tora-i2v.transformer.diffusers", "cogvideox-5b-i2v"),
    ("tora-t2v.sat", "cogvideox-5b"),
    ("tora-i2v.sat", "cogvideox-5b-i2v"),
]


@pytest.fixture(scope="module")
def full() -> dict[str, torch.nn.Module]:
    """The modules at their published size, without memory."""
    from diffusers import CogVideoXTransformer3DModel

    from motionloom.methods.tora.adapter import ToraAdapter

    with torch.device("meta"):
        made = {
            name: CogVideoXTransformer3DModel.from_config(published_config(name, "transformer"))
            for name in ("cogvideox-5b", "cogvideox-5b-i2v")
        }
        return {**made, "adapter": ToraAdapter()}


@pytest.mark.parametrize(("name", "architecture"), FULL)
@pytest.mark.slow
def test_every_published_key_finds_its_place(full, name, architecture):
    names = dict(published_names(manifest(name).items()))
    adapter = {key: tensor for key, tensor in names.items() if is_adapter_name(key)}
    transformer = {key: tensor for key, tensor in names.items() if not is_adapter_name(key)}
    full[architecture].load_state_dict(transformer, strict=True, assign=True)
    full["adapter"].load_state_dict(adapter, strict=True, assign=True)
    source = TensorSource.of(manifest(name), name)
    published = published_config(architecture, "transformer")
    seen = seen_config(source, shapes_of(source))
    assert {key: published.get(key, False) for key in seen} == seen


def test_the_add_ons_are_the_adapter_at_full_size(full):
    halves = manifest("tora.addon-fuser") | manifest("tora.addon-traj_extractor")
    full["adapter"].load_state_dict(dict(published_names(halves.items())), strict=True, assign=True)
    sizes = {"fuser": 669_441_024, "traj_extractor": 24_910_976}
    for half, size in sizes.items():
        assert sum(parameter.numel() for parameter in getattr(full["adapter"], half).parameters()) == size


@pytest.mark.parametrize("kind", ["t2v", "learned"])
@pytest.mark.parametrize("layout", ["sat", "diffusers"])
def test_both_come_out_of_one_source(kind, layout):
    pipe = tiny["pipeline"](kind)
    adapter = tiny["adapter"](pipe)
    state = (
        tiny["sat_state"](pipe.transformer, adapter)
        if layout == "sat"
        else pipe.transformer.state_dict() | adapter.state_dict()
    )
    progress: list[tuple[int, int]] = []
    found, beside = load_transformer(
        TensorSource.of(state),
        pipe.transformer.config,
        dtype=torch.float32,
        on_progress=lambda *at: progress.append(at),
    )
    for made, model in ((found, pipe.transformer), (beside, adapter)):
        assert not made.training
        expected = model.state_dict()
        assert made.state_dict().keys() == expected.keys()
        assert all(torch.equal(tensor, expected[key]) for key, tensor in made.state_dict().items())
    count = len(pipe.transformer.state_dict()) + len(adapter.state_dict())
    assert progress == [(done, count) for done in range(1, count + 1)]
    alone, nothing = load_transformer(
        TensorSource.of(state), pipe.transformer.config, dtype=torch.float32, with_adapter=False
    )
    assert nothing is None
    assert alone.state_dict().keys() == pipe.transformer.state_dict().keys()


def test_types_and_storage():
    pipe = tiny["pipeline"]("t2v")
    state = pipe.transformer.state_dict() | tiny["adapter"](pipe).state_dict()
    made, adapter = load_transformer(
        TensorSource.of(state), pipe.transformer.config, dtype=torch.bfloat16, fp8_storage=True
    )
    block = made.transformer_blocks[0]
    assert block.attn1.to_q.weight.dtype == block.ff.net[0].proj.weight.dtype == torch.float8_e4m3fn
    assert block.norm1.linear.weight.dtype == made.patch_embed.proj.weight.dtype == torch.bfloat16
    assert {tensor.dtype for tensor in adapter.parameters()} == {torch.bfloat16}
    with torch.no_grad():
        arguments = tiny["tiny"]["call"](pipe.transformer)
        arguments = {
            key: value.bfloat16() if isinstance(value, Tensor) and value.is_floating_point() else value
            for key, value in arguments.items()
        }
        assert made(**arguments)[0].isfinite().all()


def test_an_add_on_without_counters_is_whole(tmp_path):
    pipe = tiny["pipeline"]("t2v")
    adapter = tiny["adapter"](pipe)
    folder = tiny["save_addon"](tmp_path, adapter, counters=False)
    made = load_adapter(
        open_source([folder / "fuser.safetensors", folder / "traj_extractor.safetensors"]),
        pipe.transformer.config,
        dtype=torch.float32,
    )
    expected = adapter.state_dict()
    for key, tensor in made.state_dict().items():
        assert torch.equal(tensor, torch.zeros_like(tensor) if key.endswith("tracked") else expected[key])


def test_what_does_not_fit_is_named(tmp_path):
    pipe = tiny["pipeline"]("t2v")
    adapter, config = tiny["adapter"](pipe), pipe.transformer.config

    def load(state: dict[str, Tensor]) -> None:
        load_transformer(TensorSource.of(state, "given"), config, dtype=torch.float32)

    state = pipe.transformer.state_dict() | adapter.state_dict()
    with pytest.raises(CheckpointError, match=r"given: .* 1 missing \(transformer\.proj_out\.weight\)"):
        load({key: tensor for key, tensor in state.items() if key != "proj_out.weight"})
    with pytest.raises(CheckpointError, match=r"1 unexpected \(transformer\.mixins\.lora\.0\.weight\)"):
        load({**state, "mixins.lora.0.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"1 of another shape \(adapter\.fuser\.1\.flow_cond_norm\.bias"):
        load({**state, "fuser.1.flow_cond_norm.bias": torch.zeros(5)})
    with pytest.raises(CheckpointError, match="without the trajectory extractor; fetch both halves"):
        load({key: tensor for key, tensor in state.items() if not key.startswith("traj_extractor.")})
    extractor = {key: tensor for key, tensor in adapter.state_dict().items() if key.startswith("traj_extractor.")}
    save_file(extractor, tmp_path / "half.safetensors")
    with pytest.raises(CheckpointError, match="without the fusers; fetch both halves"):
        load_adapter(open_source(tmp_path / "half.safetensors"), config, dtype=torch.float32)
    source = TensorSource.of({key: tensor for key, tensor in state.items() if "proj_out" not in key}, "given")
    with pytest.raises(CheckpointError, match=r"no whole transformer of CogVideoX 1\.0 .*proj_out"):
        seen_config(source, shapes_of(source))
