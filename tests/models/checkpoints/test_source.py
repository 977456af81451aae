from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from motionloom.models.checkpoints import source as source_module
from motionloom.models.checkpoints.source import TensorSource, find_index, open_source


@pytest.fixture
def folder(wan: SimpleNamespace, tmp_path: Path) -> Path:
    """Three shards, an index and config.json."""
    return wan.save_original(wan.tiny(), tmp_path / "model")


def shard(folder: Path, number: int) -> Path:
    return folder / f"diffusion_pytorch_model-{number:05d}-of-00003.safetensors"


def test_folder_index_list_and_any_shard_are_the_same_model(wan: SimpleNamespace, folder: Path) -> None:
    expected = wan.weights(wan.tiny())
    index = find_index(folder)
    assert index is not None
    everything = sorted(folder.iterdir())
    for given in (folder, index, str(folder), shard(folder, 2), [shard(folder, n) for n in (1, 2, 3)], everything):
        source = open_source(given)
        read = dict(source)
        assert list(read) == list(source.tensors) == list(source.shapes)
        assert read.keys() == expected.keys()
        assert all(torch.equal(read[key], expected[key]) for key in expected)
        assert len(source.files) == 3
    index.unlink()
    assert len(open_source(shard(folder, 1))) == len(expected)
    assert len(open_source(folder)) == len(expected)


def test_shapes_types_and_sizes_without_reading(wan: SimpleNamespace, folder: Path) -> None:
    source = open_source(folder)
    info = source.tensors["patch_embedding.weight"]
    assert (info.shape, info.dtype, info.nbytes, info.quantization) == ((64, 36, 1, 2, 2), torch.float32, 36864, None)
    total = sum(tensor.nbytes for tensor in wan.weights(wan.tiny()).values())
    assert source.nbytes == total
    # Not all tensors are of one size, so neither are the shards.
    assert total / 3 < source.largest_file < total
    assert torch.equal(source.read("head.modulation"), wan.tiny().scale_shift_table)
    with pytest.raises(KeyError):
        source.read("nothing")


def test_small_windows_read_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {key: tensor.clone() for key, tensor in open_source(folder)}
    monkeypatch.setattr(source_module, "WINDOW", 5000)
    windowed = {key: tensor.clone() for key, tensor in open_source(folder)}
    assert list(whole) == list(windowed)
    assert all(torch.equal(whole[key], windowed[key]) for key in whole)


def test_tensors_outlive_their_source_and_cannot_change_the_file(folder: Path) -> None:
    before = shard(folder, 1).read_bytes()
    kept = dict(open_source(folder))
    kept["patch_embedding.bias"].zero_()
    assert shard(folder, 1).read_bytes() == before


def test_prefixes_come_off_when_all_keys_have_them(tmp_path: Path) -> None:
    def opened(*keys: str) -> TensorSource:
        return TensorSource.of({key: torch.zeros(1) for key in keys})

    assert list(opened("module.model.a", "module.model.b").tensors) == ["a", "b"]
    assert opened("module.model.a", "module.model.b").prefix == "module.model."
    # Markers stand beside the model, with its prefix or without.
    assert list(opened("model.diffusion_model.a", "scaled_fp8").tensors) == ["a", "scaled_fp8"]
    assert list(opened("model.a", "model.scaled_fp8").tensors) == ["a", "scaled_fp8"]
    assert list(opened("model.a", "b").tensors) == ["model.a", "b"]
    assert opened("model.a", "b").prefix == ""


def test_one_model_of_several(tmp_path: Path) -> None:
    save_file({"vae.a": torch.ones(2), "unet.a": torch.zeros(3)}, tmp_path / "all.safetensors")
    part = open_source(tmp_path / "all.safetensors").under("vae.")
    assert {key: tensor.tolist() for key, tensor in part} == {"a": [1, 1]}
    assert part.read("a").tolist() == [1, 1]
    assert part.shapes == {"a": (2,)}


def test_missing_shards_are_listed(folder: Path, refused: Callable[..., str]) -> None:
    shard(folder, 2).unlink()
    shard(folder, 3).rename(folder / (shard(folder, 3).name + ".part"))
    for given in (folder, shard(folder, 1)):
        message = refused(open_source, given)
        assert "2 of the 3 files its index names are missing" in message
        assert shard(folder, 2).name in message
        assert f"unfinished: {shard(folder, 3).name}" in message
        assert str(folder) in message
    find_index(folder).unlink()  # pyright: ignore[reportOptionalMemberAccess]
    assert "2 of the 3 files of the set of 3 it belongs to are missing" in refused(open_source, shard(folder, 1))


def test_an_index_of_another_model_is_refused(folder: Path, refused: Callable[..., str]) -> None:
    index = find_index(folder)
    assert index is not None
    value = json.loads(index.read_text())
    value["weight_map"]["blocks.9.modulation"] = shard(folder, 3).name
    index.write_text(json.dumps(value))
    message = refused(open_source, folder)
    assert "1 tensors that the index names are not in its files" in message
    assert "blocks.9.modulation" in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not json", "is not the index of a sharded model"),
        ("[]", "is not the index of a sharded model"),
        ('{"weight_map": {"a": "../../etc/passwd"}}', "outside its own folder"),
        ('{"weight_map": {"a": "/etc/passwd"}}', "outside its own folder"),
    ],
)
def test_bad_indices(tmp_path: Path, refused: Callable[..., str], text: str, says: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(text)
    assert says in refused(open_source, tmp_path)


def test_the_same_tensor_twice_is_refused(folder: Path, refused: Callable[..., str]) -> None:
    copy = folder / "copy.safetensors"
    copy.write_bytes(shard(folder, 1).read_bytes())
    message = refused(open_source, [shard(folder, 1), copy])
    assert "are in more than one file" in message
    assert "copy.safetensors" in message


def test_which_file_of_a_folder(tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "holds no weights" in refused(open_source, tmp_path)
    (tmp_path / "model.safetensors.incomplete").touch()
    assert "only unfinished downloads (model.safetensors.incomplete)" in refused(open_source, tmp_path)
    save_file({"a": torch.ones(1)}, tmp_path / "diffusion_pytorch_model.fp16.safetensors")
    assert open_source(tmp_path).files[0].name == "diffusion_pytorch_model.fp16.safetensors"
    save_file({"a": torch.ones(1)}, tmp_path / "diffusion_pytorch_model.safetensors")
    assert open_source(tmp_path).files[0].name == "diffusion_pytorch_model.safetensors"
    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors")
    (tmp_path / "diffusion_pytorch_model.safetensors").unlink()
    message = refused(open_source, tmp_path)
    assert "holds 2 files with weights" in message
    assert "give the file itself" in message
    for name in ("one", "two"):
        (tmp_path / f"{name}.safetensors.index.json").write_text("{}")
    assert "holds several sharded models" in refused(open_source, tmp_path)


def test_nothing_and_configurations_alone_are_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "no files were given" in refused(open_source, [])
    (tmp_path / "config.json").write_text("{}")
    assert "holds a configuration" in refused(open_source, tmp_path / "config.json")
