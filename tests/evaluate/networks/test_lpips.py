from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from motionloom.errors import CheckpointError
from motionloom.evaluate.networks.backbones import BACKBONES, load_backbone
from motionloom.evaluate.networks.lpips import load_lpips
from motionloom.evaluate.perceptual import lpips

CHANNELS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}
# (output channels, input channels, kernel) by the number of the layer in the published file.
LAYERS = {
    "alex": {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)},
    "vgg": {
        **{0: (64, 3, 3), 2: (64, 64, 3), 5: (128, 64, 3), 7: (128, 128, 3)},
        **{10: (256, 128, 3), 12: (256, 256, 3), 14: (256, 256, 3), 17: (512, 256, 3), 19: (512, 512, 3)},
        **{21: (512, 512, 3), 24: (512, 512, 3), 26: (512, 512, 3), 28: (512, 512, 3)},
    },
}


def published(name: str, folder: Path) -> tuple[Path, Path]:
    """Files of random numbers with the keys and shapes of the published ones, a stump of the classifier included."""
    generator = torch.Generator().manual_seed(7)
    tensors = {"classifier.6.bias": torch.zeros(1000)}
    for number, (outputs, inputs, kernel) in LAYERS[name].items():
        scale = (2 / (inputs * kernel**2)) ** 0.5
        tensors[f"features.{number}.weight"] = scale * torch.randn(outputs, inputs, kernel, kernel, generator=generator)
        tensors[f"features.{number}.bias"] = 0.1 * torch.randn(outputs, generator=generator)
    heads = {
        f"lin{number}.model.1.weight": torch.rand(1, channels, 1, 1, generator=generator) / channels
        for number, channels in enumerate(CHANNELS[name])
    }
    backbone, head = folder / f"{name}-backbone.pth", folder / f"{name}.pth"
    torch.save(tensors, backbone)
    torch.save(heads, head)
    return backbone, head


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    folder = tmp_path_factory.mktemp("lpips")
    return {name: published(name, folder) for name in CHANNELS}


def activations(name: str, weights: dict[str, torch.Tensor], x: torch.Tensor) -> list[torch.Tensor]:
    """The five layers looked at, the architecture written out."""
    found = []
    for number in LAYERS[name]:
        if name == "alex":
            stride, padding = (4, 2) if number == 0 else (1, 2 if number == 3 else 1)
            if number in (3, 6):
                x = F.max_pool2d(x, 3, 2)
        else:
            stride, padding = 1, 1
            if number in (5, 10, 17, 24):
                x = F.max_pool2d(x, 2, 2)
        x = F.relu(
            F.conv2d(x, weights[f"features.{number}.weight"], weights[f"features.{number}.bias"], stride, padding)
        )
        if name == "alex" or number in (2, 7, 14, 21, 28):
            found.append(x)
    return found


@pytest.mark.parametrize("name", ["alex", "vgg"])
def test_the_published_layout_gives_the_published_formula(name, files):
    backbone, heads = files[name]
    network = load_lpips(name, backbone, heads)
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 256, (2, 1, 41, 48, 3)).astype(np.uint8)
    weights, linear = torch.load(backbone, weights_only=True), torch.load(heads, weights_only=True)
    shift, scale = (torch.tensor(each)[:, None, None] for each in ((-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)))
    sides = []
    for image in (a, b):
        x = torch.from_numpy(image).permute(0, 3, 1, 2).float() / 255 * 2 - 1
        sides.append([F.normalize(y.double(), dim=1) for y in activations(name, weights, (x - shift) / scale)])
    expected = sum(
        float(((u - v).square() * linear[f"lin{number}.model.1.weight"].double()).sum(1).mean())
        for number, (u, v) in enumerate(zip(*sides, strict=True))
    )
    assert expected > 1e-3
    assert lpips(a, b, network)[0] == pytest.approx(expected, rel=1e-4)
    assert lpips(a, a, network)[0] == pytest.approx(0, abs=1e-8)
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("name", ["alex", "vgg"])
def test_the_smallest_size_is_that_of_the_network(name):
    backbone = BACKBONES[name]()
    with torch.inference_mode():
        assert [layer.shape[1] for layer in backbone(torch.zeros(1, 3, backbone.smallest, backbone.smallest))] == list(
            CHANNELS[name]
        )
        with pytest.raises(RuntimeError, match=r"too small|greater than"):
            list(backbone(torch.zeros(1, 3, backbone.smallest, backbone.smallest - 1)))


def test_files_that_do_not_fit_are_refused_with_their_keys(files, tmp_path):
    alex, vgg = files["alex"], files["vgg"]
    with pytest.raises(CheckpointError, match=r"8 missing \(.*unexpected|missing.*features\.2"):
        load_backbone("vgg", alex[0])
    with pytest.raises(CheckpointError, match=r"4 of another shape \(lin1\.model\.1\.weight: file \[1, 128, 1, 1\]"):
        load_lpips("alex", alex[0], vgg[1])
    heads = torch.load(alex[1], weights_only=True)
    heads["lin5.model.1.weight"] = heads.pop("lin4.model.1.weight")
    torch.save(heads, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"1 missing \(lin4.*1 unexpected \(lin5"):
        load_lpips("alex", alex[0], tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="no such file"):
        load_lpips("alex", tmp_path / "nothing.pth", alex[1])
    torch.save(BACKBONES["alex"](), tmp_path / "object.pth")
    with pytest.raises(CheckpointError, match="would run code"):
        load_lpips("alex", tmp_path / "object.pth", alex[1])
