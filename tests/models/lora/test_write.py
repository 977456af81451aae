from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from motionloom.errors import InputError
from motionloom.models.lora import Lora, LoraLayer, lora_of, read_lora, save_lora


@pytest.mark.parametrize("case", ["high_r4_a2", "low_r8_a8_fp16", "wan21_i2v_r2_a1"])
@pytest.mark.parametrize("layout", ["musubi", "diffusion_model", "diffusers"])
def test_round_trip(golden, tmp_path, case, layout):
    lora = read_lora(golden / f"{case}_lora.safetensors")
    found = read_lora(save_lora(tmp_path / "out.safetensors", lora, layout=layout))
    assert found.layout == layout
    assert found.layers.keys() == lora.layers.keys()
    for name, layer in lora.layers.items():
        # Every scale here is a power of two, so nothing is rounded anywhere.
        assert torch.equal(found.layers[name].delta(), layer.delta())
        assert found.layers[name].down.dtype == layer.down.dtype


def test_musubi_bytes_come_back(golden, tmp_path):
    path = save_lora(tmp_path / "out.safetensors", read_lora(golden / "high_r4_a2_lora.safetensors"))
    before, after = load_file(golden / "high_r4_a2_lora.safetensors"), load_file(path)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_header_is_kept_and_tells_the_truth(golden, tmp_path):
    lora = read_lora(golden / "high_r4_a2_lora.safetensors")
    path = save_lora(tmp_path / "out.safetensors", lora, metadata={"ss_training_comment": "mine"})
    with safe_open(path, "pt") as file:
        header = file.metadata()
    assert header["modelspec.timestep_range"] == "900,1000"
    assert header["ss_training_comment"] == "mine"
    assert (header["ss_network_dim"], header["ss_network_alpha"]) == ("4", "2")
    assert header["ss_network_module"] == "networks.lora_wan"


@pytest.mark.parametrize(("layout", "name"), [("musubi", "lora_unet_"), ("diffusion_model", "diffusion_model.")])
def test_stock_diffusers_reads_our_files(golden, tmp_path, pipeline, output, layout, name):
    lora = read_lora(golden / "high_r4_a2_lora.safetensors")
    save_lora(tmp_path / "out.safetensors", lora, layout=layout)
    reference, ours = pipeline(), pipeline()
    reference.load_lora_weights(str(golden / "high_r4_a2_lora.safetensors"))
    ours.load_lora_weights(str(tmp_path / "out.safetensors"))
    assert (output(reference.transformer) - output(ours.transformer)).abs().max() < 1e-6


def test_stock_diffusers_reads_the_scale_of_diffusers_files(golden, tmp_path, pipeline, output):
    """Without the header's configuration it would take alpha for the rank: twice too strong here."""
    lora = read_lora(golden / "high_r4_a2_lora.safetensors")
    save_lora(tmp_path / "out.safetensors", lora, layout="diffusers")
    reference, ours = pipeline(), pipeline()
    reference.load_lora_weights(str(golden / "high_r4_a2_lora.safetensors"))
    ours.load_lora_weights(str(tmp_path / "out.safetensors"))
    assert (output(reference.transformer) - output(ours.transformer)).abs().max() < 1e-6
    with safe_open(tmp_path / "out.safetensors", "pt") as file:
        assert json.loads(file.metadata()["lora_adapter_metadata"])["transformer.lora_alpha"] == 2.0


def test_incomplete_files_are_not_written_in_the_layout_that_needs_all(golden, tmp_path):
    whole = read_lora(golden / "high_r4_a2_lora.safetensors")
    partial = Lora({name: layer for name, layer in whole.layers.items() if "attn" in name})
    assert read_lora(save_lora(tmp_path / "a.safetensors", partial)).layout == "diffusion_model"
    with pytest.raises(InputError, match=r"lacks 4 modules \(blocks.0.ffn.net.0.proj"):
        save_lora(tmp_path / "b.safetensors", partial, layout="musubi")
    assert not (tmp_path / "b.safetensors").exists()
    tables = Lora({}, {"blocks.0.scale_shift_table": torch.ones(1, 6, 24)})
    with pytest.raises(InputError, match="hold no whole differences"):
        save_lora(tmp_path / "c.safetensors", tables, layout="diffusers")
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_whole_differences_round_trip(golden, tmp_path):
    whole = read_lora(golden / "high_r4_a2_lora.safetensors")
    offsets = {
        "blocks.1.attn2.to_out.0.bias": torch.randn(24),
        "blocks.0.norm2.weight": torch.randn(24),
        "blocks.1.scale_shift_table": torch.randn(1, 6, 24),
        "scale_shift_table": torch.randn(1, 2, 24),
        "patch_embedding.weight": torch.randn(24, 36, 1, 2, 2),
    }
    found = read_lora(save_lora(tmp_path / "a.safetensors", Lora(whole.layers, offsets)))
    assert found.offsets.keys() == offsets.keys()
    assert all(torch.equal(found.offsets[name], value) for name, value in offsets.items())


def test_cast_and_odd_scales(tmp_path):
    layer = LoraLayer(torch.randn(3, 24), torch.randn(24, 3), alpha=-0.7)
    found = read_lora(
        save_lora(tmp_path / "a.safetensors", Lora({"blocks.0.attn1.to_q": layer}), dtype=torch.bfloat16)
    ).layers["blocks.0.attn1.to_q"]
    assert found.down.dtype == torch.bfloat16
    assert (found.delta() - layer.delta()).abs().max() < 0.01 * layer.delta().abs().max()
    exact = read_lora(save_lora(tmp_path / "b.safetensors", Lora({"blocks.0.attn1.to_q": layer})))
    assert (exact.layers["blocks.0.attn1.to_q"].delta() - layer.delta()).abs().max() < 1e-6


def test_what_was_trained_is_saved_and_loads_the_same(tmp_path, transformer, output, pipeline):
    from peft import LoraConfig

    from motionloom.models.lora import LoraSpec, load_loras

    model = transformer()
    targets = ["to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2"]
    model.add_adapter(LoraConfig(r=4, lora_alpha=1, target_modules=targets), "mine")
    torch.manual_seed(3)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    trained = output(model)
    found = lora_of(model, "mine")
    assert len(found.layers) == 20
    path = save_lora(tmp_path / "mine.safetensors", found)
    pipe = pipeline()
    base = output(pipe.transformer)
    load_loras(pipe, [LoraSpec(path)])
    assert (output(pipe.transformer) - trained).abs().max() < 1e-6
    assert (base - trained).abs().max() > 0.05
    with pytest.raises(InputError, match="found 'other', attached are: mine"):
        lora_of(model, "other")
