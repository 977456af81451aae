import numpy as np
import pytest
import torch
from published import noise
from tiny_encoders import make_dino
from torch.nn import functional as F

from motionloom.evaluate.networks.dino import DinoEncoder
from motionloom.evaluate.networks.preprocess import IMAGENET_MEAN, IMAGENET_STD, normalised


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_dino(tmp_path_factory.mktemp("dino"))


def test_a_square_frame_is_seen_as_transformers_sees_it(folder):
    from transformers import ViTModel

    frames = noise(2, 224, 224, 3)
    model = ViTModel.from_pretrained(folder, add_pooling_layer=False).eval()
    with torch.no_grad():
        expected = model(normalised(frames, IMAGENET_MEAN, IMAGENET_STD)).last_hidden_state[:, 0]
    np.testing.assert_allclose(DinoEncoder(folder).images(frames), expected.numpy(), atol=1e-5)


def test_positions_of_a_wide_frame_are_those_of_dinos_own_program(folder):
    encoder = DinoEncoder(folder)
    embeddings = encoder._model.embeddings
    table = embeddings.position_embeddings
    found = embeddings.interpolate_pos_encoding(torch.zeros(1, 14 * 24 + 1, 16), 224, 388)
    grid = table[:, 1:].reshape(1, 14, 14, 16).permute(0, 3, 1, 2)
    # At column j of 24 its kernel lies at (j + 0.5) * 14 / 24.1 - 0.5, at row i of 14 at (i + 0.5) * 14 / 14.1 - 0.5.
    wide = F.interpolate(grid, scale_factor=(14.1 / 14, 24.1 / 14), mode="bicubic")
    assert found.shape == (1, 14 * 24 + 1, 16)
    torch.testing.assert_close(found[0, 1:], wide[0].flatten(1).T)
    assert (found[0, 1:] - F.interpolate(grid, size=(14, 24), mode="bicubic")[0].flatten(1).T).abs().max() > 1e-3
    assert torch.equal(embeddings.interpolate_pos_encoding(torch.zeros(1, 197, 16), 224, 224), table)


def test_whole_frames_and_their_middles(folder):
    encoder = DinoEncoder(folder, batch=1)
    frames = noise(2, 48, 80, 3)
    whole, middle = encoder.images(frames), encoder.images(frames, "crop")
    frames[:, :, :8] = 0  # outside the middle square of 42 columns
    assert np.abs(encoder.images(frames) - whole).max() > 1e-3
    np.testing.assert_array_equal(encoder.images(frames, "crop"), middle)
