import os

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from motionloom.errors import CheckpointError
from motionloom.evaluate.networks.files import load_network


def build() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


class Hostile:
    def __reduce__(self):
        return os.system, ("touch hostile",)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "module"])
@pytest.mark.parametrize("counter", [True, False])
def test_files_as_they_are_published(tmp_path, wrapper, counter):
    tensors = build().state_dict()
    if not counter:
        del tensors["1.num_batches_tracked"]
    torch.save(tensors if wrapper is None else {wrapper: tensors, "epoch": 7}, tmp_path / "network.pth")
    network = load_network(build, tmp_path / "network.pth")
    for key, tensor in tensors.items():
        assert torch.equal(network.state_dict()[key], tensor)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_safetensors_another_type_and_what_is_behind_the_features(tmp_path):
    save_file(build().state_dict() | {"classifier.weight": torch.zeros(2, 4)}, tmp_path / "network.safetensors")
    with pytest.raises(CheckpointError, match=r"1 unexpected \(classifier\.weight\)"):
        load_network(build, tmp_path / "network.safetensors")
    network = load_network(
        build, tmp_path / "network.safetensors", dtype=torch.float16, ignore=("classifier.weight", "classifier.bias")
    )
    assert network[0].weight.dtype == torch.float16


def test_a_file_that_would_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"0.weight": Hostile()}, "network.pth")
    with pytest.raises(CheckpointError, match="would run code"):
        load_network(build, "network.pth")
    assert not (tmp_path / "hostile").exists()


def test_missing_files_and_shapes(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        load_network(build, tmp_path / "network.pth")
    torch.save(build().state_dict() | {"0.weight": torch.zeros(4, 1, 1, 1)}, tmp_path / "network.pth")
    with pytest.raises(CheckpointError, match=r"0\.weight: file \[4, 1, 1, 1\], model \[4, 3, 1, 1\]"):
        load_network(build, tmp_path / "network.pth")
