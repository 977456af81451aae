import json

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


def test_the_published_file_with_its_names_of_tensors_opens(tmp_path):
    """Names and layout of `facebook/dino-vitb16` (2021), whatever transformers calls its modules by now."""
    generator = torch.Generator().manual_seed(3)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) / 8

    width, inner = 16, 32
    linear = {"attention.attention.query": (width, width), "attention.attention.key": (width, width)}
    linear |= {"attention.attention.value": (width, width), "attention.output.dense": (width, width)}
    linear |= {"intermediate.dense": (inner, width), "output.dense": (width, inner)}
    w = {f"encoder.layer.{n}.{name}.weight": random(*shape) for n in range(2) for name, shape in linear.items()}
    norms = ["layernorm", *(f"encoder.layer.{n}.layernorm_{at}" for n in range(2) for at in ("before", "after"))]
    w |= {f"{name}.weight": 1 + random(width) for name in norms}
    w |= {"embeddings.patch_embeddings.projection.weight": random(width, 3, 16, 16)}
    w |= {key.replace(".weight", ".bias"): random(len(tensor)) for key, tensor in w.items()}
    w |= {"embeddings.cls_token": random(1, 1, width), "embeddings.position_embeddings": random(1, 197, width)}
    pooler = {"pooler.dense.weight": random(width, width), "pooler.dense.bias": random(width)}
    torch.save(w | pooler, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    sizes = {"hidden_size": width, "intermediate_size": inner, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = {"model_type": "vit", "architectures": ["ViTModel"], "layer_norm_eps": 1e-12, "patch_size": 16, **sizes}
    (tmp_path / "config.json").write_text(json.dumps(config))

    frames = noise(2, 224, 224, 3)
    x = F.conv2d(
        normalised(frames, IMAGENET_MEAN, IMAGENET_STD),
        w["embeddings.patch_embeddings.projection.weight"],
        w["embeddings.patch_embeddings.projection.bias"],
        stride=16,
    )
    x = (
        torch.cat([w["embeddings.cls_token"].expand(2, 1, -1), x.flatten(2).mT], 1)
        + w["embeddings.position_embeddings"]
    )

    def normed(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, (width,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-12)

    def projected(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    for layer in ("encoder.layer.0", "encoder.layer.1"):
        y = normed(x, f"{layer}.layernorm_before")
        q, k, v = (
            projected(y, f"{layer}.attention.attention.{name}").unflatten(2, (2, 8)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        y = ((q @ k.mT / 8**0.5).softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = x + projected(y, f"{layer}.attention.output.dense")
        y = F.gelu(projected(normed(x, f"{layer}.layernorm_after"), f"{layer}.intermediate.dense"))
        x = x + projected(y, f"{layer}.output.dense")
    expected = normed(x, "layernorm")[:, 0].numpy()
    np.testing.assert_allclose(DinoEncoder(tmp_path).images(frames), expected, atol=1e-5)


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
