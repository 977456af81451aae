"""The benchmark of nano: its cases, its numbers and what it calls met. Models are played by functions."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import nano_ablations
from _nano_cases import AnchorCase, make_anchors, make_cases
from _nano_measures import difference, drift, interval, measured, ratio
from _nano_pictures import MOMENTS, write_sheet
from _nano_tables import goals
from nano import Nano

from motionloom.media import read_image
from motionloom.tracks.tracks import Tracks

SIZE = (64, 64)


@pytest.fixture(scope="module")
def cases():
    return make_cases("procedural", 3, 6, SIZE, "simple")


@pytest.fixture(scope="module")
def noise():
    coarse = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    big = torch.nn.functional.interpolate(coarse, (96, 96), mode="bicubic").clamp(0, 1)[0]
    return (big.permute(1, 2, 0).numpy() * 255).astype(np.uint8)


def sliding(noise, step, frames=9):
    """A window [frames, 64, 64, 3] whose content moves by ``step`` pixels to the left in every frame."""
    return np.stack([noise[16:80, t * step : t * step + 64] for t in range(frames)])


@pytest.mark.slow
def test_the_true_video_has_no_error_but_the_trackers(cases):
    for case in cases:
        row = measured(case.frames, case)
        assert row["epe_trackable"] < 0.01 * np.hypot(*SIZE)
        assert row["psnr"] is row["psnr_new"] is row["psnr_all"] is None  # infinite
        assert row["gms_all"] == pytest.approx(0, abs=1e-12)
    assert [case.name for case in cases] == ["procedural 0", "procedural 1", "procedural 2"]


def test_new_pixels_and_seen_ones_are_counted_apart(cases):
    case = next(case for case in cases if not case.seen[1:].all())
    assert case.seen[0].all()
    made = case.frames.copy()
    off = np.where(made < 128, made + 8, made - 8)
    made[1:][~case.seen[1:]] = off[1:][~case.seen[1:]]
    row = measured(made, case)
    assert row["psnr"] is None
    assert row["psnr_new"] == pytest.approx(10 * np.log10(255**2 / 64), abs=1e-6)
    share = (~case.seen[1:]).mean()
    assert row["psnr_all"] == pytest.approx(row["psnr_new"] - 10 * np.log10(share), abs=1e-6)


@pytest.mark.slow
def test_tracks_of_natural_clips_are_on_what_moves():
    found = make_cases("procedural", 2, 8, SIZE)
    assert len({case.name for case in found}) == 2
    for case in found:
        points, visible = case.tracks.points, case.tracks.visible
        assert visible[0].all()
        assert visible.mean(0).min() >= 0.5
        way = np.where(visible, np.linalg.norm(points - points[:1], axis=-1), 0).max(0)
        assert (way > 0.03 * 64).sum() >= 4
    again = make_cases("procedural", 1, 8, SIZE)[0]
    assert again.tracks == found[0].tracks
    np.testing.assert_array_equal(again.frames, found[0].frames)


def test_pins_drift_as_far_as_the_picture_slides(noise):
    start = np.array([[20.0, 24], [30, 40], [44, 20], [40, 44]], np.float32)
    points = np.repeat(start[None], 9, axis=0)
    points[:, 2:, 0] -= np.arange(9)[:, None]
    told = Tracks(points, np.ones((9, 4), np.bool_), SIZE, 8.0)
    case = AnchorCase("a", "still", sliding(noise, 0), told, np.array([True, True, False, False]))
    rests = drift(case.frames, case)
    assert rests["drift"] == pytest.approx(0, abs=0.05)
    assert rests["stayed"] == 1
    assert rests["epe_moved"] == pytest.approx(4.5, abs=0.1)  # mean of 1 to 8
    slides = drift(sliding(noise, 1), case)
    assert slides["drift"] == pytest.approx(4.5, abs=0.1)
    assert slides["stayed"] == 0
    assert slides["epe_moved"] == pytest.approx(0, abs=0.1)


def test_anchors_rest_in_the_true_video_or_are_held_where_it_moves():
    found = make_anchors("procedural", 1, SIZE, "simple")
    assert sorted(case.sort for case in found) == ["held", "still"]
    for case in found:
        points, pinned = case.tracks.points, case.pinned
        assert 4 <= pinned.sum() <= 8
        assert 4 <= (~pinned).sum() <= 8
        assert np.abs(points[:, pinned] - points[:1, pinned]).max() < 0.05
        assert np.linalg.norm(points[:, ~pinned] - points[:1, ~pinned], axis=-1).max(0).min() > 1
    held = next(case for case in found if case.sort == "held")
    assert (held.frames == held.frames[:1]).all()


def test_means_are_paired_by_case():
    mine = [{"case": "a", "epe": 1.0}, {"case": "b", "epe": 3.0}, {"case": "c", "epe": None}]
    base = [{"case": "b", "epe": 6.0}, {"case": "a", "epe": 10.0}, {"case": "d", "epe": 99.0}]
    assert interval(mine, "epe")["mean"] == 2
    assert interval(mine, "epe")["n"] == 2
    assert ratio(mine, base, "epe")["mean"] == pytest.approx(4 / 16)
    found = difference(mine, base, "epe")
    assert found["mean"] == pytest.approx(-6)
    assert found["win_rate"] == 1
    assert difference(mine, base, "epe")["low"] <= -6 <= found["high"]
    assert ratio([], base, "epe")["mean"] is None


def way(error, of_unguided, against_warp):
    against = {"psnr_new": {"mean": against_warp}, "gms_new": {"mean": -against_warp / 100}}
    return {
        "epe": {"mean": error},
        "of_unguided": {"mean": of_unguided},
        "minus_warp": against,
        "minus_warp_several": {"psnr_all": {"mean": -against_warp}},
    }


def one_run(steps, ati, wan_move):
    unguided = {
        "sharpness": {"mean": 0.39},
        "pulse": {"mean": 1.4},
        "flicker": {"mean": 6.1},
        "contrast": {"mean": 1.0},
    }
    part = {"ways": {"unguided": unguided, "ati": ati, "wan_move": wan_move}, "codec_psnr": {"mean": 30.9}}
    anchors = {"still": {"ati": {"drift": {"mean": 0.4}}}, "held": {}}
    return {"model": "m", "steps": steps, "seconds_128": 2.0, "all": part, "photographs": part, "anchors": anchors}


def test_goals_know_which_way_is_better():
    good, bad = way(1.4, 0.14, 0.5), way(1.6, 0.16, -0.5)
    truth = {"sharpness": {"mean": 0.8}, "pulse": {"mean": 1.0}, "flicker": {"mean": 4.0}}
    result = {
        "size": [128, 128],
        "threads": 2,
        "runs": [one_run(4, good, bad), one_run(20, good, way(1.0, 0.1, 0))],
        "baselines": {"all": {"truth": truth}},
    }
    found = {(goal["steps"], goal["way"], goal["goal"]): goal["met"] for goal in goals(result)}
    assert found[4, "codec", "PSNR on moving photographs, dB"] is False
    for name, met in (("ati", True), ("wan_move", False)):
        assert found[4, name, "EPE of unguided"] is met
        assert found[4, name, "EPE, px"] is met
        assert found[4, name, "psnr minus warp's, new pixels"] is met
        assert found[4, name, "gms minus warp's, new pixels"] is met
        assert found[4, name, "psnr minus warp's, several things move"] is not met
        assert found[4, name, "EPE of 4 steps over that of 20"] is met
    looks = {goal: met for (steps, way, goal), met in found.items() if (steps, way) == (4, "unguided")}
    assert looks == {
        "sharpness kept, of the truth's": False,  # 0.39 of 0.8 is less than half
        "pulse, of the truth's": True,
        "flicker, of the truth's": False,
    }
    assert found[4, "ati", "drift of still anchors, px"] is True
    assert found[4, "ati", "seconds on 2 threads"] is True
    assert (20, "ati", "EPE of 4 steps over that of 20") not in found
    larger = {**result, "size": [256, 256]}
    assert not any(goal["goal"] == "EPE, px" for goal in goals(larger))  # said of 128 pixels only


def test_the_sheet_has_the_frames_of_every_way(cases, tmp_path):
    case = cases[0]
    grey = np.full_like(case.frames, 99)
    write_sheet(tmp_path / "sheet.png", [(case.name, {"truth": case.frames, "made": grey}, case.tracks)])
    sheet = read_image(tmp_path / "sheet.png")
    bar = sheet.shape[0] - len(MOMENTS) * SIZE[0]
    assert 10 < bar < 30
    for row, moment in enumerate(MOMENTS):
        top = bar + row * SIZE[0]
        np.testing.assert_array_equal(sheet[top : top + 64, 66:130], case.frames[moment])
        assert (sheet[top : top + 64, 132:196] == 99).all()


def test_fewer_tracks_are_among_more_and_the_probes_among_none():
    points = np.random.default_rng(0).uniform(0, 64, (5, 60, 2)).astype(np.float32)
    drawn = Tracks(points, np.ones((5, 60), np.bool_), SIZE, 8.0)
    few, probes = nano_ablations._told_and_probes(drawn, 4)
    many, same = nano_ablations._told_and_probes(drawn, 200)
    assert few == many.select(range(4))
    assert probes == same
    assert (few.num_tracks, many.num_tracks, probes.num_tracks) == (4, 44, 16)
    assert not set(map(tuple, many.points[0].tolist())) & set(map(tuple, probes.points[0].tolist()))


def test_weights_are_kept_when_shares_of_the_budget_are_spent(tmp_path):
    keep = nano_ablations.Snapshots(tmp_path)
    keep({"share": 0.9})  # before anything was written
    (tmp_path / "nano").mkdir()
    for step in range(0, 101, 2):
        if step % 10 == 0:  # a checkpoint
            (tmp_path / "nano" / "training.json").write_text(json.dumps({"steps": step}))
        keep({"share": step / 100})
    kept = sorted(path.name for path in (tmp_path / "snapshots").iterdir())
    # Nothing new at 1/32, where no step was made yet; then the last checkpoint at every mark.
    assert kept == ["000000", "000010", "000020", "000030", "000040", "000050"]


@pytest.mark.slow
def test_latents_as_in_training_show_what_moves_steadily():
    nano = Nano("nano", "nano")
    case = make_cases("procedural", 1, 6, SIZE, "simple")[0]
    made = nano.through_latents(case)
    assert made.dtype == np.uint8
    assert made.shape == case.frames.shape
    seen = case.seen[1:]
    error = (made[1:].astype(float) - case.frames[1:])[seen]
    still = (case.frames[:1].astype(float) - case.frames[1:])[seen]
    assert np.square(error).mean() < 0.2 * np.square(still).mean()
    assert nano.codec_psnr(case) > 25
    places, shown = case.origin
    assert places.shape == (1, 4, 16, 16, 2)
    assert shown.shape == (1, 4, 16, 16)


@pytest.mark.parametrize("steps", [[0], [0, 83, 2711]])
def test_curves_may_begin_at_nothing(tmp_path, steps):
    point = {name: {"mean": 1.0, "low": 0.5, "high": 2.0} for name in ("epe", "psnr_all")}
    nano_ablations.draw("training", {"points": [{"series": "ati", "x": x, **point} for x in steps]}, tmp_path)
    picture = read_image(tmp_path / "nano_ablations_training.png").astype(int)
    half = picture.shape[1] // 2
    blue = (np.abs(picture[: int(0.8 * len(picture)), :half] - [0x00, 0x72, 0xB2]).max(-1) < 8).any(0).nonzero()[0]
    assert len(blue) > 3  # the points are within the picture
    assert (blue.max() - blue.min() > half / 3) == (len(steps) > 1)


def test_a_picture_needs_its_section_only(tmp_path):
    def known(mean):
        return {"mean": mean, "low": None, "high": None}

    points = [
        {"series": name, "x": x, "epe": known(error / x), "psnr_all": known(20 + error + x), "epe_probes": known(None)}
        for name, error in (("ati", 3.0), ("wan_move", 9.0))
        for x in (1, 4, 16)
    ]
    nano_ablations.draw("tracks", {"points": points}, tmp_path)
    picture = read_image(tmp_path / "nano_ablations_tracks.png").astype(int)
    above_legend = picture[: int(0.8 * len(picture))]
    blue = (np.abs(above_legend - [0x00, 0x72, 0xB2]).max(-1) < 8).any(0)
    third = picture.shape[1] // 3
    assert blue[:third].any()
    assert not blue[third : 2 * third - 20].any()  # nothing was measured there
    assert blue[2 * third :].any()
