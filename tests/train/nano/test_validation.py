from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from motionloom.media import Clip, read_image
from motionloom.models.nano.codec import BlockCodec
from motionloom.prepare.procedural import render, sample_scene
from motionloom.train.nano import NanoRecipe, Stage
from motionloom.train.nano.validation import TRACKS, HeldOut, hold_out, sample, scores, write_videos

RECIPE = NanoRecipe(style="simple", stages=(Stage(16, 2, 1.0), Stage(32, 2, 1.0)))


@pytest.fixture(scope="module")
def codec() -> BlockCodec:
    videos = render(sample_scene(0, range(4), num_frames=5, resolution=32), (32, 32)).transpose(1, 2) * 2 - 1
    return BlockCodec.fit([videos], 12)


@pytest.fixture(scope="module")
def held(codec: BlockCodec) -> HeldOut:
    return hold_out(codec, RECIPE, 3)


def test_held_out_clips_are_those_of_the_last_stage_and_the_same_every_time(codec: BlockCodec, held: HeldOut):
    assert held.truth.shape == (3, 3, 17, 32, 32)
    assert [each.num_tracks for each in held.tracks] == [TRACKS] * 3
    again = hold_out(codec, RECIPE, 3)
    for kind, condition in held.conditions.items():
        assert condition.shape == (3, 16, 5, 8, 8)
        assert torch.equal(condition, again.conditions[kind]), kind


def test_kinds_of_conditions_differ_where_they_should(held: HeldOut):
    plain = held.conditions["unguided"]
    for kind, condition in held.conditions.items():
        assert torch.equal(condition[:, :, 0], plain[:, :, 0]), kind  # all know the first frame
        if kind != "unguided":
            assert not torch.equal(condition, plain), kind
    ending = held.conditions["last_frame"]
    assert torch.equal(ending[:, :, :-1], plain[:, :, :-1])
    assert (ending[:, 3, -1] == 1).all()


def test_sampling_a_network_that_knows_the_answer_gives_the_answer():
    answer = torch.randn(2, 8, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    heard = []

    def network(x, t, text, return_dict):
        heard.append((float(t[0]), bool(text.any())))
        return (answer,)

    for told in (False, True):
        made = sample(network, torch.zeros(2, 12, 2, 4, 4), steps=3, told=told)
        torch.testing.assert_close(made, answer)
    assert [tells for _, tells in heard] == [False] * 3 + [True] * 3
    assert heard[0][0] >= 999
    assert heard[0][0] > heard[1][0] > heard[2][0] > 0


def test_scores_are_psnr_without_the_first_frame(held: HeldOut):
    off = held.truth + 0.2  # 0.1 of the range: 20 dB
    off[:, :, 0] = 9.0
    found = scores(held, {"ati": off, "dense": held.truth})
    assert found["psnr_ati"] == pytest.approx(20.0, abs=0.01)
    assert found["psnr_dense"] == pytest.approx(100.0)


@pytest.mark.slow
def test_videos_to_watch(held: HeldOut, tmp_path: Path):
    made = dict.fromkeys(held.conditions, held.truth * 0) | {"wan_move": held.truth}
    folder = tmp_path / "validation" / "000007"
    (folder / "of an earlier run").mkdir(parents=True)
    write_videos(folder, held, made)
    assert {path.name for path in folder.iterdir()} == {"00.mp4", "01.mp4", "02.mp4", "sheet.png"}
    assert [path.name for path in folder.parent.iterdir()] == ["000007"]
    clip = Clip.load(folder / "01.mp4")
    assert clip.num_frames == 17
    bar, width = clip.size[0] - 192, (clip.size[1] - 3 * 2) // 4
    columns = [clip.frames[8, bar:, i * (width + 2) : i * (width + 2) + width].astype(float) for i in range(4)]
    truth = (held.truth[1, :, 8].permute(1, 2, 0).numpy() + 1) * 127.5
    assert abs(columns[1] - 127.5).mean() < 4
    assert abs(columns[2] - 127.5).mean() < 4
    assert abs(columns[3][3::6, 3::6] - truth).mean() < 12
    assert abs(columns[0] - columns[3]).mean() > 2  # tracks are drawn on the truth
    assert np.ptp(read_image(folder / "sheet.png")) > 100
