"""RAFT against torchvision's, with weights that both sides make from the names of the tensors."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tiny_networks import GOLDEN, published_raft

from motionloom.errors import CheckpointError, InputError
from motionloom.evaluate.networks import raft as raft_module
from motionloom.evaluate.networks.raft import Raft, load_raft, our_key, raft_flow


def pictures() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.RandomState(0)
    picture = rng.randint(0, 256, (28, 32, 3)).astype(np.uint8).repeat(5, 0).repeat(5, 1)
    return picture[None, 4:134, 6:156], picture[None, 7:137, 4:154]


@pytest.fixture(scope="module")
def rafts(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("raft")
    found = {}
    for layout in ("torchvision", "princeton"):
        torch.save(published_raft(layout), folder / f"{layout}.pth")
        found[layout] = load_raft(folder / f"{layout}.pth")
    return found


@pytest.mark.parametrize(("layout", "tensors"), [("torchvision", 169), ("princeton", 179)])
def test_every_published_tensor_has_a_place_and_every_place_a_tensor(layout, tensors):
    shapes = json.loads((GOLDEN / "raft_keys.json").read_text())[layout]
    assert len(shapes) == tensors
    ours = {name: list(tensor.shape) for name, tensor in Raft().state_dict().items()}
    assert {our_key(key): shape for key, shape in shapes.items() if our_key(key)} == ours
    left_over = [key for key in shapes if our_key(key) is None]
    assert all(".norm3." in key for key in left_over)
    assert len(left_over) == tensors - len(ours)


def test_parameters_are_as_many_as_published_raft():
    assert sum(parameter.numel() for parameter in Raft().parameters()) == 5_257_536


@pytest.mark.parametrize("layout", ["torchvision", "princeton"])
@pytest.mark.slow
def test_flow_is_that_of_the_published_network(rafts, layout):
    first, second = pictures()
    flow = raft_flow(rafts[layout], first, second, updates=3)
    assert flow.shape == (1, 130, 150, 2)
    expected = load_file(GOLDEN / "raft.safetensors")["flow"]
    assert np.abs(expected).mean() > 3
    np.testing.assert_allclose(flow[0, ::5, ::5], expected, atol=2e-3)


def test_pairs_of_a_batch_do_not_see_each_other(rafts):
    first, second = (each[:, :128, :128] for each in pictures())
    both = raft_flow(rafts["princeton"], np.concatenate([first, second]), np.concatenate([second, first]), updates=1)
    alone = raft_flow(rafts["princeton"], second, first, updates=1)
    np.testing.assert_allclose(both[1:], alone, atol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (20, 140), (64, 64)])
def test_small_pictures_are_padded_to_what_the_pyramid_needs(rafts, size):
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    flow = raft_flow(rafts["princeton"], frames[:1], frames[1:], updates=1)
    assert flow.shape == (1, *size, 2)
    assert np.isfinite(flow).all()


def test_frames_of_other_shapes_are_refused(rafts):
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    with pytest.raises(InputError, match=r"found shapes \(2, 16, 16, 3\) and \(1, 16, 16, 3\)"):
        raft_flow(rafts["princeton"], frames, frames[:1])


def test_more_pixels_than_memory_are_refused_before_they_fill_it(rafts, monkeypatch):
    monkeypatch.setattr(raft_module, "_free_bytes", lambda device: 8_000_000_000)
    frames = np.zeros((1, 2160, 3840, 3), np.uint8)
    with pytest.raises(InputError, match=r"3840x2160 pixels .* takes 89\.6 GB, and 8\.0 GB are free on cpu"):
        raft_flow(rafts["princeton"], frames, frames)


def test_other_files_are_refused_with_what_is_wrong(tmp_path):
    tensors = published_raft("torchvision")
    del tensors["mask_predictor.conv.bias"]
    tensors["extra.weight"] = torch.zeros(2)
    torch.save(tensors, tmp_path / "cut.pth")
    with pytest.raises(CheckpointError, match=r"1 missing \(update_block.mask.2.bias\), 1 unexpected \(extra.weight\)"):
        load_raft(tmp_path / "cut.pth")
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(CheckpointError, match=r"text\.pth"):
        load_raft(tmp_path / "text.pth")
    with pytest.raises(CheckpointError, match=r"nowhere\.pth"):
        load_raft(tmp_path / "nowhere.pth")
