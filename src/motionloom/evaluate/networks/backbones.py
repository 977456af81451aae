"""The convolutional halves of AlexNet and VGG-16, whose layers perceptual distances look at.

Declared as torchvision names them, so that its published files fit: `alexnet-owt-7be5be79.pth` (Krizhevsky 2014, arXiv
1404.5997) and `vgg16-397923af.pth` (Simonyan and Zisserman 2015, arXiv 1409.1556). Their classifiers are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from motionloom.models.checkpoints.assemble import check_fit
from motionloom.models.checkpoints.readers import open_file

BackboneName = Literal["alex", "vgg"]

_NOT_READ = "classifier."


class Backbone(nn.Module):
    """Convolutions with the outputs of some of them.

    Attributes:
        features: the layers, numbered as in the published file.
        taps: numbers of the layers whose output is looked at; channels: of each of them.
        smallest: height and width, in pixels, below which nothing would reach the last layer.
    """

    def __init__(self, features: nn.Sequential, taps: tuple[int, ...], channels: tuple[int, ...], smallest: int):
        super().__init__()
        self.features = features
        self.taps, self.channels, self.smallest = taps, channels, smallest

    def forward(self, images: Tensor) -> Iterator[Tensor]:
        """Outputs [B, C, h, w] of the taps for images [B, 3, H, W], one after the other as they are computed."""
        for number, layer in enumerate(self.features):
            images = layer(images)
            if number in self.taps:
                yield images


def alexnet() -> Backbone:
    """AlexNet's five convolutions, looked at after each rectification."""
    features = nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    )
    return Backbone(features, (1, 4, 7, 9, 11), (64, 192, 384, 256, 256), 31)


def vgg16() -> Backbone:
    """VGG-16's thirteen convolutions, looked at after the last rectification of each of its five blocks."""
    layers: list[nn.Module] = []
    taps, channels = [], (64, 128, 256, 512, 512)
    inputs = 3
    for depth, outputs in zip((2, 2, 3, 3, 3), channels, strict=True):
        if layers:
            layers.append(nn.MaxPool2d(2, 2))
        for _ in range(depth):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            inputs = outputs
        taps.append(len(layers) - 1)
    return Backbone(nn.Sequential(*layers), tuple(taps), channels, 16)


BACKBONES = {"alex": alexnet, "vgg": vgg16}


def load_backbone(name: BackboneName, path: Path) -> Backbone:
    """A backbone with the weights of its published file, float32 and without gradients.

    Raises:
        CheckpointError: not a file of tensors, or not those of this network; the message lists them.
    """
    with torch.device("meta"):
        backbone = BACKBONES[name]()
    fill_exactly(backbone, path, passed_over=_NOT_READ)
    return backbone.eval().requires_grad_(False)


def fill_exactly(network: nn.Module, path: Path, *, passed_over: str | None = None) -> None:
    """Put the tensors of a file into a network made on the meta device, whose names and shapes they must have.

    Args:
        passed_over: beginning of keys that the network has no use for.

    Raises:
        CheckpointError: not a file of tensors, or not those of the network; the message lists them.
    """
    reader = open_file(path)
    used = [key for key in reader.tensors if passed_over is None or not key.startswith(passed_over)]
    check_fit(
        {key: tuple(value.shape) for key, value in network.state_dict().items()},
        {key: reader.tensors[key].shape for key in used},
        origin=str(path),
    )
    # Views of the file's mapping would keep it open as long as the network lives.
    network.load_state_dict({key: value.to(torch.float32, copy=True) for key, value in reader.read(used)}, assign=True)
