"""The convolutional halves of AlexNet and VGG-16, whose layers perceptual distances look at.

Declared as torchvision names them, so that its published files fit: `alexnet-owt-7be5be79.pth` (Krizhevsky 2014, arXiv
1404.5997) and `vgg16-397923af.pth` (Simonyan and Zisserman 2015, arXiv 1409.1556). Their classifiers are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from motionloom.evaluate.networks.files import load_network

BackboneName = Literal["alex", "vgg"]

# Of AlexNet layers 1, 4 and 6, of VGG-16 layers 0, 3 and 6.
_CLASSIFIERS = tuple(f"classifier.{number}.{kind}" for number in (0, 1, 3, 4, 6) for kind in ("weight", "bias"))


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
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(inplace=True),
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
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)]
            inputs = outputs
        taps.append(len(layers) - 1)
    return Backbone(nn.Sequential(*layers), tuple(taps), channels, 16)


BACKBONES = {"alex": alexnet, "vgg": vgg16}


def load_backbone(name: BackboneName, path: Path) -> Backbone:
    """A backbone with the weights of its published file, float32 and without gradients.

    Raises:
        CheckpointError: not a file of tensors, or not those of this network; the message lists them.
    """
    return load_network(BACKBONES[name], path, ignore=_CLASSIFIERS)
