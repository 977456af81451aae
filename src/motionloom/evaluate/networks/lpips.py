"""LPIPS: how different two pictures look, by the activations of a network trained to recognise things.

Zhang et al. 2018, arXiv 1801.03924, version 0.1 of `richzhang/PerceptualSimilarity` (BSD-2-Clause).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from motionloom.evaluate.networks.backbones import Backbone, BackboneName, load_backbone
from motionloom.evaluate.networks.files import load_network

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # ScalingLayer of lpips.py: ImageNet's, for [-1, 1]
_TINY = 1e-10  # normalize_tensor of lpips.py: on the length of an activation, not on its square


class LPIPS(nn.Module):
    """A backbone, and heads that add up the differences in each of its layers that are looked at."""

    def __init__(self, backbone: Backbone, heads: Heads) -> None:
        super().__init__()
        self.backbone, self.heads = backbone, heads
        self.shift: Tensor
        self.scale: Tensor
        self.register_buffer("shift", torch.tensor(_SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE)[:, None, None], persistent=False)

    def forward(self, images: Tensor, others: Tensor) -> Tensor:
        """Distance [B] of images [B, 3, H, W], RGB from -1 to 1: 0 for equal ones, about 1 for unrelated ones.

        d = sum over layers of mean over positions of sum over channels of w (a / |a| - b / |b|)².
        """
        both = (torch.cat([images, others]) - self.shift) / self.scale
        distance = images.new_zeros(len(images))
        for number, activations in enumerate(self.backbone(both)):
            length = activations.square().sum(1, keepdim=True).sqrt()
            a, b = (activations / (length + _TINY)).chunk(2)
            distance = distance + self.heads[f"lin{number}"]((a - b).square()).mean((1, 2, 3))
        return distance


class Heads(nn.ModuleDict):
    """One weight per channel and layer, as the published file names them: ``lin0.model.1.weight`` [1, C, 1, 1] to
    ``lin4.model.1.weight``. (Number 0 of each pair was a dropout, which does nothing when measuring.)"""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__({f"lin{layer}": _Head(number) for layer, number in enumerate(channels)})


class _Head(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Identity(), nn.Conv2d(channels, 1, 1, bias=False))

    def forward(self, differences: Tensor) -> Tensor:
        return self.model(differences)


def load_lpips(name: BackboneName, backbone: Path, heads: Path) -> LPIPS:
    """LPIPS from the published files of a backbone and of its heads.

    Args:
        name: "alex" or "vgg".
        backbone: `alexnet-owt-7be5be79.pth` or `vgg16-397923af.pth`.
        heads: `alex.pth` or `vgg.pth` of lpips/weights/v0.1.

    Raises:
        CheckpointError: a file is not one of tensors, or they are not those of this network; the message lists them.
    """
    network = load_backbone(name, backbone)
    return LPIPS(network, load_network(lambda: Heads(network.channels), heads)).eval()
