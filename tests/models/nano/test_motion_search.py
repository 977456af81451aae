from __future__ import annotations

import pytest
import torch

from motionloom.models.nano.codec import BlockCodec
from motionloom.models.nano.motion_search import is_video, search
from motionloom.models.nano.provenance import WAVELENGTHS, WHISPER, cell_centres, places
from motionloom.prepare.procedural import render, sample_scene
from motionloom.prepare.procedural.sources import sources

SIZE = (96, 128)


@pytest.mark.slow
def test_what_is_found_is_what_is_true():
    scene = sample_scene(6, range(4), num_frames=9, resolution=96)
    videos = render(scene, SIZE).transpose(1, 2) * 2 - 1
    true, seen = sources(scene, SIZE)
    apart, agreed = [], []
    for clip in range(4):
        found, visible = search(videos[clip])
        assert found.shape == (2, 24, 32, 2)
        both = visible & seen[clip]
        apart.append((found - true[clip]).norm(dim=-1)[both])
        agreed.append((visible == seen[clip]).flatten())
    error = torch.cat(apart)
    still = torch.cat([(cell_centres(24, 32) - true[clip]).norm(dim=-1)[seen[clip]] for clip in range(4)])
    assert float(still.mean()) > 2
    assert float(error.median()) < 0.3
    assert float(error.mean()) < 0.4 * float(still.mean())
    assert float(torch.cat(agreed).float().mean()) > 0.85


def test_only_videos_are_searched():
    video = render(sample_scene(3, [1], num_frames=5, resolution=48), (48, 48)).transpose(1, 2) * 2 - 1
    assert is_video(video[0])
    assert not is_video(video[0, :, :1])
    placeholder = video.clone()
    placeholder[:, :, 1:] = 0
    assert not is_video(placeholder[0])
    codec = BlockCodec.fit([video], 12 + 4 * len(WAVELENGTHS), wavelengths=WAVELENGTHS)
    lengths = []
    for clip in (video, placeholder):
        code = codec.encode(clip, return_dict=False)[0].mode()
        assert torch.equal(code[:, :12], codec.codes(clip)[:, :12])
        lengths.append(places(code[0, 12:, 1:].movedim(0, -1), cell_centres(12, 12), (48, 48))[1])
    assert float(lengths[0].median()) > 0.99
    torch.testing.assert_close(lengths[1], torch.full_like(lengths[1], WHISPER))


@pytest.mark.slow
def test_what_moving_the_first_frame_cannot_show_is_left_to_the_blocks():
    """The light goes out while things move: found again, but not as the first frame shows them."""
    video = render(sample_scene(3, range(3), num_frames=9, resolution=64), (64, 64)).transpose(1, 2) * 2 - 1
    codec = BlockCodec.fit([video], 60 + 4 * len(WAVELENGTHS), wavelengths=WAVELENGTHS)

    def error(clip: torch.Tensor, code: torch.Tensor) -> float:
        return float((codec.pictures(code) - clip).square().mean())

    def told(code: torch.Tensor) -> torch.Tensor:
        return code[:, 60:, 1:].norm(dim=1) > 0.5

    dusk = torch.cat([video[:, :, :1], (video[:, :, 1:] + 1) * 0.7 - 1], dim=2)
    dark, light = (codec.encode(clip, return_dict=False)[0].mode() for clip in (dusk, video))
    assert float(told(dark).float().mean()) < 0.5 * float(told(light).float().mean())
    places_everywhere = codec.codes(dusk)
    for number, clip in enumerate(dusk):
        places_everywhere[number] = codec.with_places(places_everywhere[number], *search(clip))
    assert error(dusk, dark) < 0.5 * error(dusk, places_everywhere)
