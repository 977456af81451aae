from __future__ import annotations

import pytest
import torch

from motionloom.errors import InputError
from motionloom.methods.latent_trajectory.latent_trajectory import FirstFrame, copy_tokens, guide
from motionloom.methods.wan_move import wan_move

STRIDES = (4, 8, 8)


def one_track(frames: int, start: tuple[float, float], end: tuple[float, float]):
    """A straight track, points [1, F, 1, 2] and visible."""
    way = torch.linspace(0, 1, frames)[:, None]
    points = torch.tensor(start) * (1 - way) + torch.tensor(end) * way
    return points[None, :, None], torch.ones(1, frames, 1, dtype=torch.bool)


def test_the_first_frames_cell_goes_where_the_track_goes():
    value = torch.randn(1, 3, 10, 4, 6)  # time first, 3 latent frames
    points, visible = one_track(9, (4.0, 4.0), (36.0, 20.0))
    place = FirstFrame((4, 10), STRIDES, time_axis=1)
    out = guide(value, points, visible, place)
    assert torch.equal(out[0, 2, 4:, 2, 4], value[0, 0, 4:, 0, 0])  # (36, 20) is row 2, column 4
    assert torch.equal(out[0, 1, 4:, 1, 2], value[0, 0, 4:, 0, 0])  # half way, (20, 12)
    changed = (out != value).any(2)[0]
    assert changed.nonzero().tolist() == [[1, 1, 2], [2, 2, 4]]
    assert torch.equal(out[:, :, :4], value[:, :, :4])  # other channels are not its business


def test_both_layouts_give_the_same():
    value = torch.randn(2, 7, 5, 4, 6)  # channels first, one of them a mask
    value[:, :1] = 0
    points, visible = one_track(17, (44.0, 4.0), (4.0, 28.0))
    channels_first = guide(value, points, visible, FirstFrame((1, 7), STRIDES))
    time_first = guide(value.transpose(1, 2).contiguous(), points, visible, FirstFrame((1, 7), STRIDES, time_axis=1))
    assert torch.equal(channels_first, time_first.transpose(1, 2))
    assert torch.equal(
        channels_first, wan_move.guide(value, points, visible, (32, 48), strides=STRIDES, mask_channels=1)
    )


def test_frames_in_front_that_are_not_shown_shift_the_copies():
    value = torch.randn(1, 4, 10, 4, 6)
    points, visible = one_track(9, (4.0, 4.0), (36.0, 20.0))
    out = guide(value, points, visible, FirstFrame((4, 10), STRIDES, time_axis=1, lead=1))
    assert (out != value).any(2)[0].nonzero().tolist() == [[2, 1, 2], [3, 2, 4]]
    assert torch.equal(out[0, 3, 4:, 2, 4], value[0, 0, 4:, 0, 0])


def test_half_a_strength_is_half_way():
    value = torch.randn(1, 6, 3, 4, 6)
    points, visible = one_track(9, (4.0, 4.0), (36.0, 20.0))
    out = guide(value, points, visible, FirstFrame((0, 6), STRIDES), strength=0.5)
    assert torch.allclose(out[0, :, 2, 2, 4], (value[0, :, 2, 2, 4] + value[0, :, 0, 0, 0]) / 2)
    assert torch.equal(guide(value, points, visible, FirstFrame((0, 6), STRIDES), strength=0.0), value)


def test_channels_that_are_not_there_are_refused():
    points, visible = one_track(9, (4.0, 4.0), (36.0, 20.0))
    with pytest.raises(InputError, match="channels 16 to 32 on axis 1"):
        guide(torch.randn(1, 20, 3, 4, 6), points, visible, FirstFrame((16, 32), STRIDES))


def test_whole_tokens_are_copied_with_what_surrounds_the_track():
    latents = torch.randn(1, 5, 3, 4, 6)
    # Cells of 16 pixels: from row 1, column 1 to row 2, column 4, the upper left cell of its token.
    points, visible = one_track(9, (24.0, 24.0), (72.0, 40.0))
    out, known = copy_tokens(latents, points, visible, (4, 16, 16), (2, 2))
    assert known[0, 2].nonzero().tolist() == [[2, 4], [2, 5], [3, 4], [3, 5]]
    assert torch.equal(out[0, :, 2, 2:4, 4:6], latents[0, :, 0, 1:3, 1:3])
    assert not known[0, 0].any()
    assert torch.equal(out[~known[:, None].expand_as(out)], latents[~known[:, None].expand_as(out)])


def test_a_token_at_the_rim_is_filled_all_the_same():
    latents = torch.randn(1, 5, 2, 4, 4)
    # The start is in the picture's corner, the goal in the lower right cell of a token: three of its cells would come
    # from outside.
    points, visible = one_track(5, (2.0, 2.0), (60.0, 60.0))
    out, known = copy_tokens(latents, points, visible, (4, 16, 16), (2, 2))
    assert known[0, 1].nonzero().tolist() == [[2, 2], [2, 3], [3, 2], [3, 3]]
    assert torch.equal(out[0, :, 1, 2:, 2:], latents[0, :, 0, :1, :1].expand(-1, 2, 2))


def test_hidden_tracks_copy_nothing():
    latents = torch.randn(1, 5, 3, 4, 6)
    points, visible = one_track(9, (24.0, 24.0), (72.0, 40.0))
    for hidden in (slice(None), slice(0, 1)):
        seen = visible.clone()
        seen[:, hidden] = False
        out, known = copy_tokens(latents, points, seen, (4, 16, 16), (2, 2))
        assert torch.equal(out, latents)
        assert not known.any()


def test_where_tracks_meet_a_token_is_one_tracks_own():
    latents = torch.randn(1, 5, 2, 4, 6)
    a, visible = one_track(5, (8.0, 8.0), (40.0, 40.0))
    b, _ = one_track(5, (88.0, 8.0), (56.0, 56.0))  # ends in another cell of the same token
    out, _ = copy_tokens(latents, torch.cat([a, b], 2), visible.expand(-1, -1, 2), (4, 16, 16), (2, 2))
    alone = [copy_tokens(latents, one, visible, (4, 16, 16), (2, 2))[0] for one in (a, b)]
    assert any(torch.equal(out, one) for one in alone)
