import numpy as np
import pytest
import torch
from published import assert_published, filled, noise
from torch import nn

from motionloom.errors import CheckpointError, InputError
from motionloom.evaluate.networks.i3d import load_i3d, load_i3d_torchscript, resized_clips

# The published file is TorchScript; that torch recommends other things for new ones is not the test's matter.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


class Program(nn.Module):
    """The interface of StyleGAN-V's file; what it gives tells how it was called."""

    def forward(self, x: torch.Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False):
        values = x.float().mean(dim=[2, 3, 4]).repeat(1, 134)[:, :400]
        return values * float(rescale) * float(resize) * float(return_features) * float(x.dtype == torch.uint8)


class Other(nn.Module):
    def forward(self, x: torch.Tensor):
        return x


@pytest.mark.slow
def test_features_are_those_of_the_published_program(tmp_path):
    torch.save(filled("i3d"), tmp_path / "i3d_pretrained_400.pt")
    network = load_i3d(tmp_path / "i3d_pretrained_400.pt")
    assert_published("i3d", network(noise(1, 17, 48, 64, 3)), 1e-4)
    assert network(noise(1, 17, 48, 64, 3)[:0]).shape == (0, 400)
    with pytest.raises(InputError, match="found 8 frames, expected at least 9"):
        network(noise(1, 8, 16, 16, 3))


def test_frames_are_resized_to_a_square():
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, None, None, :, None] * 4, (1, 9, 32, 64, 3))
    pixels = resized_clips(np.ascontiguousarray(ramp), 16)
    assert pixels.shape == (1, 3, 9, 16, 16)
    # Bilinear without blur at every fourth pixel: halfway between the two in the middle.
    np.testing.assert_allclose(pixels[0, 0, 0, 0].numpy(), (np.arange(16) * 4 + 1.5) * 4)


def test_large_frames_are_resized_a_few_at_a_time(monkeypatch):
    clips = noise(2, 9, 20, 30, 3)
    whole = resized_clips(clips, 16)
    monkeypatch.setattr("motionloom.evaluate.networks.i3d._RESIZED_PIXELS", 20 * 30 * 4)
    assert torch.equal(resized_clips(clips, 16), whole)
    frames = torch.from_numpy(clips[1]).permute(0, 3, 1, 2).float()
    expected = nn.functional.interpolate(frames, (16, 16), mode="bilinear", align_corners=False).transpose(0, 1)
    assert torch.equal(whole[1], expected)


def test_a_torchscript_program_is_called_as_stylegan_v_does(tmp_path):
    torch.jit.script(Program()).save(tmp_path / "i3d_torchscript.pt")
    clips = noise(5, 16, 8, 8, 3)
    values = load_i3d_torchscript(tmp_path / "i3d_torchscript.pt", batch=2)(clips)
    assert values.shape == (5, 400)
    np.testing.assert_allclose(values[:, :3], clips.mean((1, 2, 3)), rtol=1e-5)


def test_another_program_or_no_program_is_refused(tmp_path):
    torch.jit.script(Other()).save(tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="does not run as StyleGAN-V's does"):
        load_i3d_torchscript(tmp_path / "other.pt")(noise(1, 16, 8, 8, 3))
    torch.save({"weight": torch.zeros(2)}, tmp_path / "tensors.pt")
    with pytest.raises(CheckpointError, match="is not a TorchScript archive"):
        load_i3d_torchscript(tmp_path / "tensors.pt")
    with pytest.raises(CheckpointError, match=r"tensors.pt: its tensors are not those of the model .* 287 missing"):
        load_i3d(tmp_path / "tensors.pt")
