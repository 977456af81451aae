import numpy as np
import pytest
import torch

from motionloom.errors import CheckpointError
from motionloom.evaluate.networks.aesthetic import load_head


def test_a_head_is_read(tmp_path):
    torch.save({"weight": torch.arange(768.0)[None], "bias": torch.tensor([3.5])}, tmp_path / "head.pth")
    weight, bias = load_head(tmp_path / "head.pth")
    np.testing.assert_array_equal(weight, np.arange(768))
    assert bias == 3.5


def test_the_head_of_another_network_is_refused(tmp_path):
    torch.save({"weight": torch.zeros(1, 512), "bias": torch.zeros(1)}, tmp_path / "head.pth")
    with pytest.raises(CheckpointError, match=r"weight: file \[1, 512\], model \[1, 768\]"):
        load_head(tmp_path / "head.pth")
