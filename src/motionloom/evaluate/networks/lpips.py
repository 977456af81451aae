"""LPIPS: how different two pictures look, by the activations of a network trained to recognise things.

Zhang et al. 2018, arXiv 1801.03924, version 0.1 of `richzhang/PerceptualSimilarity` (BSD-2-Clause).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from motionloom.evaluate.networks.backbones import Backbone, BackboneName, fill_exactly, load_backbone

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # ScalingLayer of lpips.py: ImageNet's, for [-1, 1]
_TINY = 1e-10  # normalize_tensor of lpips.py: on the length of an activation, not on its square


class LPIPS(nn.Module):
    """A backbone and one weight per channel of the layers looked at, by which their differences are added up.

    The weights have the names of the published heads, ``lin0.model.1.weight`` [1, C, 1, 1] to ``lin4.model.1.weight``.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        heads = {f"lin{number}": _Head(channels) for number, channels in enumerate(backbone.channels)}
        self.heads = nn.ModuleDict(heads)
        # Not in the heads' file, and real numbers even where the rest is made without any.
        with torch.device("cpu"):
            self.register_buffer("shift", torch.tensor(_SHIFT)[:, None, None], persistent=False)
            self.register_buffer("scale", torch.tensor(_SCALE)[:, None, None], persistent=False)
        self.shift: Tensor
        self.scale: Tensor

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


class _Head(nn.Module):
    """A sum over channels. Number 0 of the published pair is a dropout, which does nothing when measuring."""

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
    with torch.device("meta"):
        whole = LPIPS(network)
    fill_exactly(whole.heads, heads)
    return whole.eval().requires_grad_(False)
