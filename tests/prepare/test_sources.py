from __future__ import annotations

import pytest
import torch

from motionloom.errors import InputError
from motionloom.prepare.procedural import sample_scene, trace
from motionloom.prepare.procedural.sources import sources

SIZE = (48, 64)


@pytest.mark.parametrize("style", ["simple", "natural"])
@pytest.mark.slow
def test_tracks_pass_the_blocks_that_show_where_they_start(style):
    """A track that crosses the middle of a block, in the middle of its frames, begins where the block says."""
    scene = sample_scene(4, range(8), num_frames=9, resolution=48, style=style)
    places, seen = sources(scene, SIZE)
    assert places.shape == (8, 2, 12, 16, 2)
    assert seen.shape == (8, 2, 12, 16)
    y, x = torch.meshgrid(torch.arange(0.25, 48, 0.5), torch.arange(0.25, 64, 0.5), indexing="ij")
    start = torch.stack([x, y], -1).reshape(1, -1, 2).expand(8, -1, -1).contiguous()
    points, visible = trace(scene, start, SIZE)
    errors, crossing, hidden = [], 0, 0
    for step, frame in enumerate((2, 6)):
        middle = (points[:, frame] + points[:, frame + 1]) / 2
        cell = (middle / 4).floor().long()
        offset = middle - (cell + 0.5) * 4
        near = (offset.norm(dim=-1) < 0.5) & visible[:, frame] & visible[:, frame + 1]
        near &= (cell >= 0).all(-1) & (cell[..., 0] < 16) & (cell[..., 1] < 12)
        clip, track = near.nonzero(as_tuple=True)
        column, row = cell[clip, track].unbind(-1)
        said = places[clip, step, row, column] + offset[clip, track]
        errors.append((said - start[clip, track]).norm(dim=-1))
        crossing += len(clip)
        hidden += int((~seen[clip, step, row, column]).sum())
    error = torch.cat(errors)
    assert crossing > 500
    assert float(error.median()) < 0.1
    assert float(error.quantile(0.95)) < 1.0
    assert hidden / crossing < 0.01


def test_what_stands_still_comes_from_where_it_is():
    scene = sample_scene(1, range(3), num_frames=9, resolution=48, motion=0.0)
    places, seen = sources(scene, SIZE)
    y, x = torch.meshgrid(torch.arange(12) * 4 + 2.0, torch.arange(16) * 4 + 2.0, indexing="ij")
    torch.testing.assert_close(places, torch.stack([x, y], -1).expand_as(places), atol=1e-3, rtol=0)
    assert seen.all()


@pytest.mark.parametrize(
    ("frames", "size", "words"),
    [(8, SIZE, "scene: found 8 frames"), (1, SIZE, "scene: found 1 frames"), (9, (48, 62), "size, block: found")],
)
def test_blocks_fill_the_clip(frames: int, size: tuple[int, int], words: str):
    with pytest.raises(InputError, match=words):
        sources(sample_scene(1, [0], num_frames=frames, resolution=48), size)
