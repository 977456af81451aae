import math

import pytest
import torch
from published import assert_published, filled, noise, published

from motionloom.errors import CheckpointError, InputError
from motionloom.evaluate.networks.videomae import VideoMAE, VideoMAEConfig, load_videomae

SMALL = VideoMAEConfig(width=32, depth=2, heads=4, hidden=int(32 * 48 / 11), classes=10)


def test_features_are_those_of_the_published_program(tmp_path):
    torch.save({"module": filled("videomae_small")}, tmp_path / "small.pth")
    network = load_videomae(tmp_path / "small.pth", config=SMALL)
    assert_published("videomae_small", network(noise(1, 16, 40, 56, 3)), 1e-5)
    assert network(noise(1, 16, 40, 56, 3)[:0]).shape == (0, 32)
    with pytest.raises(InputError, match="found 15 frames, expected at least 16"):
        network(noise(1, 15, 8, 8, 3))
    with pytest.raises(InputError, match=r"found \[1, 3, 17, 224, 224\], expected \[B, 3, 16"):
        network(noise(1, 17, 8, 8, 3))


def test_every_key_of_the_published_file_has_its_place():
    with torch.device("meta"):
        network = VideoMAE()
    shapes = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    assert shapes == published("videomae")["keys"]
    assert sum(math.prod(shape) for shape in shapes.values()) == 1_011_855_918


def test_a_network_of_another_size_is_refused(tmp_path):
    torch.save({"module": filled("videomae_small")}, tmp_path / "small.pth")
    with pytest.raises(CheckpointError, match=r"494 missing .* 32 of another shape"):
        load_videomae(tmp_path / "small.pth")
