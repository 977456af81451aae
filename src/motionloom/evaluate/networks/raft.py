"""RAFT in its large form: dense optical flow by a network (Teed and Deng 2020, arXiv 2003.12039).

Pictures become features at an eighth of their size; every feature of the first is correlated with every one of the
second; a recurrent unit looks up the correlations around where each pixel is believed to have gone and corrects that
belief, a fixed number of times; the last belief is brought to full size as a learned convex combination of neighbours.

Two published files are read: ``raft-things.pth`` of princeton-vl/RAFT and ``raft_large_C_T_SKHT_V2-ff5fadd5.pth`` of
torchvision, whose parameters have other names for the same network. Parts are called as in the former.

Shape letters: B pairs, H W pixels, h w features (H/8, W/8), C channels.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from motionloom.errors import InputError
from motionloom.models.checkpoints.assemble import assemble, check_fit, empty
from motionloom.models.checkpoints.source import open_source

_Norm = Callable[[int], nn.Module]

LEVELS, RADIUS = 4, 4  # of the correlation pyramid, and of the square looked up on each level
HIDDEN = 128  # channels of the recurrent state, and as many of context
STRIDE = 8
_BYTES_PER_PAIR_OF_CELLS = 4 * 4 / 3  # float32, and a third as much again on coarser levels
SMALLEST = STRIDE * 2**LEVELS  # px: a level with a single row has no place to interpolate between


class Raft(nn.Module):
    """The network. ``forward`` takes pictures [B, 3, H, W] in [-1, 1] with sides divisible by 8 and of 128 or more."""

    def __init__(self) -> None:
        super().__init__()
        self.fnet = _Encoder(256, nn.InstanceNorm2d)
        self.cnet = _Encoder(2 * HIDDEN, nn.BatchNorm2d)
        self.update_block = _Update()

    def forward(self, first: Tensor, second: Tensor, updates: int = 20) -> Tensor:
        """Flow [B, 2, H, W] of (x, y) in pixels from the first pictures to the second."""
        features = self.fnet(torch.cat([first, second]))
        pyramid = _correlations(*features.chunk(2))
        state, context = self.cnet(first).split(HIDDEN, dim=1)
        state, context = torch.tanh(state), torch.relu(context)
        batch, _, height, width = state.shape
        y, x = torch.meshgrid(
            torch.arange(height, device=state.device), torch.arange(width, device=state.device), indexing="ij"
        )
        home = torch.stack([x, y]).to(state.dtype).expand(batch, -1, -1, -1)
        place = home
        for _ in range(updates):
            state = self.update_block(state, context, _look_up(pyramid, place), place - home)
            place = place + self.update_block.flow_head(state)
        return _to_full_size(place - home, 0.25 * self.update_block.mask(state))


def load_raft(path: str | Path, device: torch.device | str = "cpu") -> Raft:
    """Read either of the published files; nothing in them is executed.

    Raises:
        CheckpointError: missing, damaged, or its tensors are not those of the network.
    """
    source = open_source(path)
    raft = empty(Raft)
    expected = {name: tuple(tensor.shape) for name, tensor in raft.state_dict().items()}
    counters = [name for name in expected if name.endswith("num_batches_tracked")]
    found = {name: shape for key, shape in source.shapes.items() if (name := our_key(key)) is not None}
    guess = (
        "Expected raft-things.pth of princeton-vl/RAFT or raft_large_C_T_SKHT_V2-ff5fadd5.pth of torchvision; "
        "RAFT's small form is another network"
    )
    check_fit(expected, found, origin=str(path), guess=guess, optional=counters)
    named = ((name, tensor) for key, tensor in source if (name := our_key(key)) is not None)
    assemble(raft, named, dtype=torch.float32, device=device, optional=counters)
    return raft.to(device).eval().requires_grad_(False)


def our_key(key: str) -> str | None:
    """What a tensor of either published file is called here; None for one that is there twice.

    Princeton's file comes out of a DataParallel wrapper (``module.``) and holds the normalisation beside each strided
    shortcut as ``norm3`` and again as ``downsample.1``.
    """
    name = key.removeprefix("module.")
    for pattern, replacement in _TORCHVISION:
        name = re.sub(pattern, replacement, name)
    return None if re.match(r"cnet\.layer\d\.0\.norm3\.", name) else name


def raft_flow(
    raft: Raft, first: NDArray[np.uint8], second: NDArray[np.uint8], *, updates: int = 20
) -> NDArray[np.float32]:
    """Flow [B, H, W, 2] of (x, y) in pixels from pictures uint8 [B, H, W, 3] to others of the same size.

    Sides are padded to the next multiple of 8 and to 128 pixels at least, half on either side, by repeating the border
    (``InputPadder`` of the published program in its mode "sintel", which VBench uses).

    Raises:
        InputError: other shapes, or more pixels than the correlation of all with all has memory for.
    """
    if first.shape != second.shape or first.ndim != 4 or first.shape[-1] != 3:
        raise InputError(f"frames: found shapes {first.shape} and {second.shape}, expected twice uint8 [B, H, W, 3]")
    height, width = first.shape[1:3]
    rows, columns = (max(SMALLEST, -(-side // STRIDE) * STRIDE) - side for side in (height, width))
    top, left = rows // 2, columns // 2
    device = next(raft.parameters()).device
    cells = (height + rows) * (width + columns) // STRIDE**2
    needed, free = int(len(first) * cells**2 * _BYTES_PER_PAIR_OF_CELLS), _free_bytes(device)
    if free is not None and needed > free:
        raise InputError(
            f"frames: RAFT compares every part of {width}x{height} pixels with every other, which takes "
            f"{needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free on {device}; measure a smaller copy of the video"
        )

    def prepared(frames: NDArray[np.uint8]) -> Tensor:
        pictures = torch.from_numpy(np.ascontiguousarray(frames)).to(device).permute(0, 3, 1, 2).float()
        pictures = 2 * (pictures / 255) - 1
        return F.pad(pictures, (left, columns - left, top, rows - top), mode="replicate")

    with torch.inference_mode():
        flow = raft(prepared(first), prepared(second), updates)
    flow = flow[:, :, top : top + height, left : left + width]
    return flow.permute(0, 2, 3, 1).cpu().numpy().astype(np.float32)


def _free_bytes(device: torch.device) -> int | None:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available) if device.type == "cpu" else None


_TORCHVISION = (
    (r"^feature_encoder\.", "fnet."),
    (r"^context_encoder\.", "cnet."),
    (r"^([fc]net)\.conv\.", r"\1.conv2."),
    (r"\.convnormrelu\.0\.", ".conv1."),
    (r"\.convnormrelu\.1\.", ".norm1."),
    (r"\.convnormrelu([12])\.0\.", r".conv\1."),
    (r"\.convnormrelu([12])\.1\.", r".norm\1."),
    (r"\.motion_encoder\.convcorr([12])\.0\.", r".encoder.convc\1."),
    (r"\.motion_encoder\.convflow([12])\.0\.", r".encoder.convf\1."),
    (r"\.motion_encoder\.conv\.0\.", ".encoder.conv."),
    (r"\.recurrent_block\.convgru([12])\.conv([zrq])\.", r".gru.conv\2\1."),
    (r"^mask_predictor\.convrelu\.0\.", "update_block.mask.0."),
    (r"^mask_predictor\.conv\.", "update_block.mask.2."),
)


class _Encoder(nn.Module):
    """Pictures to features at an eighth of their size."""

    def __init__(self, channels: int, norm: _Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.norm1 = norm(64)
        self.layer1 = nn.Sequential(_Residual(64, 64, 1, norm), _Residual(64, 64, 1, norm))
        self.layer2 = nn.Sequential(_Residual(64, 96, 2, norm), _Residual(96, 96, 1, norm))
        self.layer3 = nn.Sequential(_Residual(96, 128, 2, norm), _Residual(128, 128, 1, norm))
        self.conv2 = nn.Conv2d(128, channels, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        x = torch.relu(self.norm1(self.conv1(pictures)))
        return self.conv2(self.layer3(self.layer2(self.layer1(x))))


class _Residual(nn.Module):
    def __init__(self, channels_in: int, channels: int, stride: int, norm: _Norm) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1, self.norm2 = norm(channels), norm(channels)
        self.downsample = (
            nn.Identity()
            if stride == 1
            else nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride=stride), norm(channels))
        )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm1(self.conv1(x)))
        y = torch.relu(self.norm2(self.conv2(y)))
        return torch.relu(self.downsample(x) + y)


class _Update(nn.Module):
    """One correction: the new recurrent state; ``flow_head`` and ``mask`` read it out."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = _MotionEncoder()
        self.gru = _SeparableGru(2 * HIDDEN)
        self.flow_head = _FlowHead()
        self.mask = nn.Sequential(
            nn.Conv2d(HIDDEN, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, STRIDE * STRIDE * 9, 1)
        )

    def forward(self, state: Tensor, context: Tensor, correlation: Tensor, flow: Tensor) -> Tensor:
        return self.gru(state, torch.cat([context, self.encoder(flow, correlation)], dim=1))


class _MotionEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convc1 = nn.Conv2d(LEVELS * (2 * RADIUS + 1) ** 2, 256, 1)
        self.convc2 = nn.Conv2d(256, 192, 3, padding=1)
        self.convf1 = nn.Conv2d(2, 128, 7, padding=3)
        self.convf2 = nn.Conv2d(128, 64, 3, padding=1)
        self.conv = nn.Conv2d(192 + 64, HIDDEN - 2, 3, padding=1)

    def forward(self, flow: Tensor, correlation: Tensor) -> Tensor:
        seen = torch.relu(self.convc2(torch.relu(self.convc1(correlation))))
        believed = torch.relu(self.convf2(torch.relu(self.convf1(flow))))
        return torch.cat([torch.relu(self.conv(torch.cat([seen, believed], dim=1))), flow], dim=1)


class _SeparableGru(nn.Module):
    """A gated recurrent unit of convolutions, along rows and then along columns."""

    def __init__(self, channels_in: int) -> None:
        super().__init__()
        channels = HIDDEN + channels_in
        self.convz1 = nn.Conv2d(channels, HIDDEN, (1, 5), padding=(0, 2))
        self.convr1 = nn.Conv2d(channels, HIDDEN, (1, 5), padding=(0, 2))
        self.convq1 = nn.Conv2d(channels, HIDDEN, (1, 5), padding=(0, 2))
        self.convz2 = nn.Conv2d(channels, HIDDEN, (5, 1), padding=(2, 0))
        self.convr2 = nn.Conv2d(channels, HIDDEN, (5, 1), padding=(2, 0))
        self.convq2 = nn.Conv2d(channels, HIDDEN, (5, 1), padding=(2, 0))

    def forward(self, state: Tensor, x: Tensor) -> Tensor:
        for update, reset, propose in (
            (self.convz1, self.convr1, self.convq1),
            (self.convz2, self.convr2, self.convq2),
        ):
            both = torch.cat([state, x], dim=1)
            share = torch.sigmoid(update(both))
            proposal = torch.tanh(propose(torch.cat([torch.sigmoid(reset(both)) * state, x], dim=1)))
            state = (1 - share) * state + share * proposal
        return state


class _FlowHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(HIDDEN, 256, 3, padding=1)
        self.conv2 = nn.Conv2d(256, 2, 3, padding=1)

    def forward(self, state: Tensor) -> Tensor:
        return self.conv2(torch.relu(self.conv1(state)))


def _correlations(first: Tensor, second: Tensor) -> list[Tensor]:
    """Features [B, C, h, w] of both pictures to [B h w, 1, h', w'] per level, halved from level to level."""
    batch, channels, height, width = first.shape
    # Scaled before it is large.
    product = (first / channels**0.5).flatten(2).transpose(1, 2) @ second.flatten(2)
    pyramid = [product.view(batch * height * width, 1, height, width)]
    for _ in range(LEVELS - 1):
        pyramid.append(F.avg_pool2d(pyramid[-1], 2))
    return pyramid


def _look_up(pyramid: list[Tensor], place: Tensor) -> Tensor:
    """Correlations [B, LEVELS (2 RADIUS + 1)^2, h, w] around each pixel's place (x, y) [B, 2, h, w]."""
    batch, _, height, width = place.shape
    centre = place.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
    steps = torch.arange(-RADIUS, RADIUS + 1, device=place.device, dtype=place.dtype)
    # The published order: x varies slowest, which is the transpose of how a picture is laid out.
    x, y = torch.meshgrid(steps, steps, indexing="ij")
    around = torch.stack([x, y], dim=-1)
    found = []
    for level, correlation in enumerate(pyramid):
        last = torch.tensor(
            [correlation.shape[-1] - 1, correlation.shape[-2] - 1], device=place.device, dtype=place.dtype
        )
        at = 2 * (centre / 2**level + around) / last - 1
        found.append(F.grid_sample(correlation, at, align_corners=True).view(batch, height, width, -1))
    return torch.cat(found, dim=-1).permute(0, 3, 1, 2)


def _to_full_size(flow: Tensor, mask: Tensor) -> Tensor:
    """Flow [B, 2, h, w] to [B, 2, H, W]: each fine pixel mixes the 3x3 coarse ones around with weights of its own."""
    batch, _, height, width = flow.shape
    share = mask.view(batch, 1, 9, STRIDE, STRIDE, height, width).softmax(dim=2)
    around = F.unfold(STRIDE * flow, 3, padding=1).view(batch, 2, 9, 1, 1, height, width)
    fine = (share * around).sum(dim=2)  # [B, 2, 8, 8, h, w]
    return fine.permute(0, 1, 4, 2, 5, 3).reshape(batch, 2, STRIDE * height, STRIDE * width)
