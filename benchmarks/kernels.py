"""Time and memory of the ATI and Wan-Move kernels beside a plain writing-out of the published algorithms.

Both are timed in the same run, on the same inputs, and their results are compared. The condition is that of 81 frames
at 480x832 (20 channels, 21x60x104 latents).

    python benchmarks/kernels.py [--json FILE] [--threads 1] [--repeats 5] [--tracks 1 10 100 1000 2000]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from _measure import measure
from _report import header, write
from torch import Tensor
from torch.nn.functional import grid_sample

from motionloom.methods.ati import ati
from motionloom.methods.wan_move import wan_move

FRAMES, LATENT_FRAMES, HEIGHT, WIDTH = 81, 21, 60, 104
SIZE = (8 * HEIGHT, 8 * WIDTH)
# Costs of the published programs, measured once on another machine of 2 cores with 1 thread; for orientation only.
PUBLISHED = {
    "ati": {10: "63-104 ms, 110 MB", 100: "507-540 ms, 260 MB", 1000: "5.8-8.6 s, 1.95 GB"},
    "wan_move": {10: "31 ms, 25 MB", 100: "200 ms, 20 MB", 1000: "2018 ms, 22 MB"},
}


def dense_ati(condition: Tensor, points: Tensor, visible: Tensor) -> Tensor:
    """ATI for one sample with every distance between every cell and every track in memory at once."""
    latent = condition[4:]
    short = min(HEIGHT, WIDTH)
    half_x, half_y = WIDTH / short, HEIGHT / short
    points = ati.normalise(points, SIZE)
    start = (points[0] / torch.tensor([half_x, half_y])).clamp(-1, 1)
    feature = grid_sample(latent[None, :, 0], start[None, None], align_corners=False)[0, :, 0]
    seen = visible[1:].float().view(LATENT_FRAMES - 1, 4, -1)
    count = seen.sum(1)
    place = (points[1:].view(LATENT_FRAMES - 1, 4, -1, 2) * seen[..., None]).sum(1) / (count + 1e-5)[..., None]
    y, x = torch.meshgrid(
        torch.linspace(-half_y, half_y, HEIGHT), torch.linspace(-half_x, half_x, WIDTH), indexing="ij"
    )
    difference = place[:, None, None] - torch.stack([x, y], -1)[None, :, :, None]
    weight = torch.exp(-ati.TEMPERATURE * difference.square().sum(-1)) * count.clamp(0, 1)[:, None, None]
    best, index = weight.topk(min(ati.TOP_K, weight.shape[-1]), -1)
    splat = (feature[:, index] * best).sum(-1)
    total = best.sum(-1)
    out = condition.clone()
    out[:4, 0] = 1
    out[:4, 1:] = total
    out[4:, 1:] = splat + latent[:, 1:] * (1 - total.clamp(max=1))
    return out


def looped_wan_move(condition: Tensor, points: Tensor, visible: Tensor, order: Tensor) -> Tensor:
    """Wan-Move for one sample, track after track and latent frame after latent frame."""
    out = condition.clone()
    for n in order.tolist():
        source = None
        for k in range(LATENT_FRAMES):
            x, y = points[4 * k, n]
            if not visible[4 * k, n] or not (0 <= x < SIZE[1] and 0 <= y < SIZE[0]):
                continue
            row, column = int(y // 8), int(x // 8)
            if k == 0:
                source = condition[4:, 0, row, column]
            elif source is not None:
                out[4:, k, row, column] = source
    return out


def compare(count: int, repeats: int) -> list[dict[str, Any]]:
    """Both kernels and both plain forms for ``count`` random tracks."""
    generator = torch.Generator().manual_seed(count)
    condition = torch.randn(1, 20, LATENT_FRAMES, HEIGHT, WIDTH, generator=generator)
    condition[:, :4] = 0
    condition[:, :4, 0] = 1
    start = torch.rand(count, 2, generator=generator) * torch.tensor([SIZE[1], SIZE[0]])
    step = torch.randn(count, 2, generator=generator)
    points = start + torch.arange(FRAMES)[:, None, None] * step
    visible = torch.rand(FRAMES, count, generator=generator) > 0.1
    order = torch.randperm(count, generator=generator)
    pairs = {
        "ati": (
            lambda: ati.guide(condition, points, visible, SIZE)[0],
            lambda: dense_ati(condition[0], points, visible),
        ),
        "wan_move": (
            lambda: wan_move.guide(condition, points, visible, SIZE, order=order)[0],
            lambda: looped_wan_move(condition[0], points, visible, order),
        ),
    }
    rows = []
    for name, (ours, plain) in pairs.items():
        seconds, memory, result = measure(ours, repeats)
        plain_seconds, plain_memory, expected = measure(plain, 1)
        rows.append(
            {
                "kernel": name,
                "tracks": count,
                "seconds": seconds,
                "peak_bytes": memory,
                "plain_seconds": plain_seconds,
                "plain_peak_bytes": plain_memory,
                "time_ratio": seconds / plain_seconds,
                "largest_difference": float((result - expected).abs().max()),
                "published_elsewhere": PUBLISHED[name].get(count),
            }
        )
    return rows


def batched(repeats: int) -> list[dict[str, Any]]:
    """A training batch of 16 with its own dense tracks per sample, at once and one by one."""
    rows = []
    for side in (16, 32):
        generator = torch.Generator().manual_seed(side)
        condition = torch.randn(16, 68, 5, side, side, generator=generator)
        points = torch.rand(16, 17, 1024, 2, generator=generator) * 4 * side
        visible = torch.ones(16, 17, 1024, dtype=torch.bool)
        size = (4 * side, 4 * side)
        kernels: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
            "ati": lambda c, p, v, size=size: ati.guide(c, p, v, size),
            "wan_move": lambda c, p, v, size=size: wan_move.guide(c, p, v, size, strides=(4, 4, 4)),
        }
        for name, kernel in kernels.items():
            at_once, _, _ = measure(lambda: kernel(condition, points, visible), repeats)  # noqa: B023
            single, _, _ = measure(lambda: kernel(condition[:1], points[:1], visible[:1]), repeats)  # noqa: B023
            rows.append(
                {"kernel": name, "latents": side, "seconds": at_once, "per_sample": at_once / 16, "alone": single}
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", metavar="FILE", help="write the numbers here as well")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tracks", type=int, nargs="+", default=[1, 10, 100, 1000, 2000])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(", ".join(f"{name} {value}" for name, value in header().items()), f"- {options.threads} thread(s)")
    print(f"{'kernel':9} {'tracks':>6} {'ours':>20} {'plain form':>22} {'ratio':>9} {'difference':>10}  published")
    rows = []
    for count in options.tracks:
        for row in compare(count, options.repeats):
            rows.append(row)
            print(
                f"{row['kernel']:9} {row['tracks']:6d} {_cost(row['seconds'], row['peak_bytes']):>20} "
                f"{_cost(row['plain_seconds'], row['plain_peak_bytes']):>22} {1 / row['time_ratio']:8.1f}x "
                f"{row['largest_difference']:10.1e}  {row['published_elsewhere'] or '-'}",
                flush=True,
            )
    batches = batched(options.repeats)
    for row in batches:
        print(
            f"{row['kernel']:9} batch of 16, 1024 tracks, {row['latents']}x{row['latents']} latents: "
            f"{1e3 * row['seconds']:.1f} ms, {1e3 * row['per_sample']:.2f} ms a sample, "
            f"one alone {1e3 * row['alone']:.2f} ms"
        )
    write({"threads": options.threads, "kernels": rows, "batches": batches}, options.json)


def _cost(seconds: float, peak: float | None) -> str:
    return f"{1e3 * seconds:.1f} ms" + (f", {peak / 1e6:.0f} MB" if peak is not None else "")


if __name__ == "__main__":
    main()
