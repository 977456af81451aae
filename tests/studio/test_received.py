from __future__ import annotations

import runpy
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from motionloom.errors import CheckpointError, InputError
from motionloom.methods.ati import ati
from motionloom.methods.wan_move import wan_move
from motionloom.models.catalog import find_model
from motionloom.studio.received import WRITTEN, received
from motionloom.studio.schemas import GenerationSettings
from motionloom.tracks.motion import Motion


def motion_of(*instructions, width=832, height=480, num_frames=81, fps=16):
    return Motion.parse(
        {
            "format": "motionloom.motion",
            "version": 1,
            "canvas": {"width": width, "height": height},
            "num_frames": num_frames,
            "fps": fps,
            "instructions": list(instructions),
        }
    )


def ask(motion, model="wan-move-14b", **settings):
    return received(motion, motion.size, find_model(model), GenerationSettings(model=model, **settings))


def path(*points, **more):
    return {"kind": "path", "curve": "polyline", "points": [list(each) for each in points], **more}


# --------------------------------------------------------------------------------------------------- what is received
@pytest.mark.slow
def test_nano_receives_what_a_run_of_nano_gives_it(monkeypatch):
    """The very numbers of a run: its size, frames, rate, and the cells that its condition is written into."""
    import motionloom as ml

    motion = motion_of(path((100, 100), (300, 200)), width=400, height=300, num_frames=33)
    for method, module, name in (("ati", ati, "guide"), ("wan_move", wan_move, "guide")):
        model = ml.load("nano", method=method)
        calls = []
        real = getattr(module, name)

        def recorded(condition, *args, real=real, calls=calls, **more):
            result = real(condition, *args, **more)
            calls.append((condition.clone(), result))
            return result

        monkeypatch.setattr(module, name, recorded)
        clip = model.generate(np.full((300, 400, 3), 128, np.uint8), motion, seed=1)
        monkeypatch.setattr(module, name, real)
        found = ask(motion, "nano", method=method)
        details = clip.provenance["details"]
        assert [found.height, found.width] == details["size"]
        assert (found.num_frames, found.fps) == (clip.num_frames, clip.fps)
        assert found.num_tracks == details["tracks_seen"]
        grid = found.grid
        before, after = calls[0]
        assert (grid.frames, grid.rows, grid.columns) == tuple(after.shape[2:])
        if method == "ati":
            written = after[0, 0] >= WRITTEN
        else:
            written = torch.ones(after.shape[2:], dtype=torch.bool)
            written[0] = False
        told = torch.zeros(after.shape[2:], dtype=torch.bool)
        for frame, cells in enumerate(grid.cells):
            told.view(grid.frames, -1)[frame, cells] = True
        changed = (after[0, 4:] != before[0, 4:]).any(0)
        if method == "ati":
            assert torch.equal(told[1:], written[1:])
        else:
            # What is copied may be what was there; it is never written where nothing is told.
            assert not (changed[1:] & ~told[1:]).any()
            assert changed[1:].sum() > 0.9 * told[1:].sum()


def test_a_straight_track_is_written_into_the_cells_it_passes():
    motion = motion_of(path((100, 100), (740, 100)))
    found = ask(motion, size={"width": 832, "height": 480})
    assert (found.width, found.height, found.num_frames, found.method) == (832, 480, 81, "wan_move")
    grid = found.grid
    assert (grid.frames, grid.rows, grid.columns, grid.pixels_per_cell, grid.frames_per_cell) == (21, 60, 104, 8, 4)
    # 32 pixels a latent frame: four cells, on row 12.
    assert grid.cells == [[], *([12 * 104 + (100 + 32 * k) // 8] for k in range(1, 21))]
    assert grid.sources == [12 * 104 + 12]


def test_sizes_and_rates_are_those_of_the_model():
    motion = motion_of(path((10, 10), (20, 20)), width=1000, height=500, num_frames=49)
    found = ask(motion, "ati-14b")
    assert (found.width % 16, found.height % 16, found.num_frames) == (0, 0, 81)
    assert found.fps == pytest.approx(16 * 80 / 48)
    wide = ask(motion, "ati-14b", resolution="720p")
    assert wide.width * wide.height == pytest.approx(720 * 1280, rel=0.05)
    assert ask(motion, "warp").grid is None
    assert (ask(motion, "warp").width, ask(motion, "warp").num_frames) == (1000, 49)
    assert ask(motion, "circle-rotate").num_tracks == 0
    with pytest.raises(InputError, match="expected multiples of 16; the nearest is 496x304"):
        ask(motion, size={"width": 500, "height": 300})
    with pytest.raises(InputError, match="method: found 'magic'"):
        ask(motion, method="magic")


def test_an_empty_motion_receives_nothing():
    found = ask(motion_of())
    assert (found.num_tracks, found.speeds, found.flags) == (0, [], [])
    assert found.grid.sources == []


def test_what_would_fill_the_memory_is_not_worked_out():
    found = ask(motion_of(path((10, 10), (20, 20))), "nano", size={"width": 4096, "height": 4096}, num_frames=1_001)
    assert found.grid is None
    assert "too large to be shown" in found.notes[0]


def test_the_answer_for_two_hundred_tracks_comes_at_once():
    ways = [path((50 + 3 * k, 60), (300 + 2 * k, 160)) for k in range(200)]
    motion = motion_of(*ways)
    ask(motion)
    started = time.perf_counter()
    found = ask(motion)
    assert found.num_tracks == 200
    # A fifth of a second here would be seen; the bound is wide for busy machines.
    assert time.perf_counter() - started < 1.0


# -------------------------------------------------------------------------------------------------- speeds and flags
def flags(motion, model="wan-move-14b", **settings):
    return {flag.kind: flag for flag in ask(motion, model, **settings).flags}


def test_speeds_are_in_frames_of_the_motion_and_shares_of_the_clip():
    motion = motion_of(path((0, 100, 0), (80, 100, 20), (400, 100, 40), id="a"), num_frames=41, width=800)
    (speed,) = ask(motion, "wan-move-14b").speeds
    assert (speed.instruction, round(speed.largest, 3), round(speed.median, 3)) == ("a", 16.0, 10.0)
    assert 20 <= speed.largest_frame < 40
    # 81 frames for 41: half a step each.
    assert speed.share == pytest.approx(8 / 800)


def test_ati_is_warned_of_half_a_width_in_two_frames_only():
    too_fast = motion_of(path((0, 100, 0), (400, 100, 1), (420, 100, 80), id="jump"), width=800)
    found = flags(too_fast, "ati-14b")["too_fast"]
    assert (found.instruction, found.frame, found.num_tracks) == ("jump", 0.0, 1)
    assert "50% of the picture's width in one frame" in found.message
    assert "fails above 25%" in found.message
    assert "too_fast" not in flags(motion_of(path((0, 100, 0), (190, 100, 1), (200, 100, 80)), width=800), "ati-14b")
    assert "too_fast" not in flags(too_fast, "wan-move-14b")


def test_leaving_and_starting_outside_and_hidden_starts_are_told_apart():
    leaves = flags(motion_of(path((780, 100), (940, 100), id="out")))
    assert leaves["leaves_frame"].frame == 26
    assert "Leaves the picture at frame 26:" in leaves["leaves_frame"].message
    outside = flags(motion_of(path((-20, 100), (100, 100), id="in")))
    assert "starts_outside" in outside
    assert "leaves_frame" not in outside
    late = motion_of(path((10, 10, 20), (90, 90, 60), before="vanish"))
    assert "leaves this one out" in flags(late)["hidden_at_start"].message
    assert "from when it appears" in flags(late, "ati-14b")["hidden_at_start"].message


def test_too_many_for_ati_and_too_few_for_wan_move():
    region = {"kind": "region", "polygon": [[100, 100], [300, 100], [300, 300], [100, 300]], "spacing": 16,
              "path": {"points": [[0, 0], [50, 0]]}}  # fmt: skip
    many = flags(motion_of(region), "ati-14b")["too_many"]
    assert many.instruction is None
    assert many.num_tracks > 20
    assert "too_many" not in flags(motion_of(region))
    assert flags(motion_of(path((100, 100), (200, 200))))["too_few"].num_tracks == 1
    # nano is shown one track for each cell, whatever was drawn.
    assert not {"too_few", "sparse", "same_cell"} & set(flags(motion_of(path((100, 100), (200, 200))), "nano"))


def test_wide_areas_and_single_points_are_sparse_for_copying_methods():
    square = {"kind": "region", "polygon": [[100, 100], [500, 100], [500, 400], [100, 400]],
              "path": {"points": [[0, 0], [50, 0]]}, "id": "big"}  # fmt: skip
    assert "sparse" in flags(motion_of({**square, "spacing": 120}))
    assert "sparse" not in flags(motion_of({**square, "spacing": 24}))
    assert "sparse" not in flags(motion_of({**square, "spacing": 120}), "ati-14b")
    alone = motion_of(path((100, 100), (200, 200)))
    assert "Draw the thing as a region" in flags(alone)["sparse"].message
    pair = motion_of(path((100, 100), (200, 200)), path((130, 100), (230, 200)))
    assert "sparse" not in flags(pair)


def test_tracks_that_start_in_one_cell_are_counted():
    motion = motion_of(path((100, 100), (200, 200), id="a"), path((101, 101), (50, 50), id="b"))
    size = {"width": 832, "height": 480}
    found = [flag for flag in ask(motion, size=size).flags if flag.kind == "same_cell"]
    assert [(flag.instruction, flag.num_tracks) for flag in found] == [("b", 1)]


def test_clips_shorter_than_the_motion_say_what_is_not_seen():
    motion = motion_of(path((100, 100), (200, 200)), num_frames=81)
    assert "ends at frame 48 of the motion's 80" in flags(motion, num_frames=49, fps=16)["too_short"].message
    assert "about one in 5.0" in flags(motion, num_frames=17)["too_short"].message
    assert "holds still" in flags(motion, num_frames=81, fps=8)["too_short"].message
    assert "too_short" not in flags(motion)
    blink = motion_of(path((100, 100, 10), (140, 100, 11), before="vanish", after="vanish"))
    assert "Let it last longer" in flags(blink)["too_short"].message


# --------------------------------------------------------------------------------------------------------------- Tora
def tora(*instructions, **settings):
    """What Tora receives of a motion on its own canvas: 720 x 480, 49 frames."""
    motion = motion_of(*instructions, width=720, height=480, num_frames=49, fps=8)
    return ask(motion, "tora-t2v", **settings)


def test_tora_is_shown_blobs_around_what_moves():
    found = tora(path((100, 240), (580, 240)))
    assert (found.width, found.height, found.num_frames, found.fps, found.method) == (720, 480, 49, 8, "tora")
    grid = found.grid
    assert (grid.frames, grid.rows, grid.columns, grid.pixels_per_cell, grid.frames_per_cell) == (13, 60, 90, 8, 4)
    assert grid.cells[0] == []
    assert grid.sources == [30 * 90 + 12]
    for latent in range(1, 13):
        # 10 pixels a frame, full colour where a step starts, a tenth of it 10 sqrt(2 ln 10) = 21.5 pixels away.
        left, right = 100 + 10 * (4 * latent - 4), 100 + 10 * (4 * latent - 1)
        columns = [cell % 90 for cell in grid.cells[latent] if cell // 90 == 30]
        assert abs(min(columns) - (left - 21.5) // 8) <= 1
        assert abs(max(columns) - (right + 21.5) // 8) <= 1
        rows = [cell // 90 for cell in grid.cells[latent]]
        assert abs(min(rows) - (240 - 21.5) // 8) <= 1
        assert abs(max(rows) - (240 + 21.5) // 8) <= 1
    assert found.flags == []


def test_tora_s_cells_are_those_of_its_flow_video():
    from motionloom.methods.tora.flow import flow_video

    instructions = (path((80, 100), (400, 420)), path((600, 60), (560, 90), (300, 200)), path((30, 30), (33, 30)))
    motion = motion_of(*instructions, width=720, height=480, num_frames=49, fps=8)
    tracks = motion.compile((480, 720), 49)
    video = flow_video(tracks.points, tracks.visible, (480, 720))
    colour = (255 - video.amin(1)).float()[None, 1:] / 255
    cells = torch.nn.functional.max_pool3d(colour, (4, 8, 8))[0].flatten(1)
    grid = ask(motion, "tora-t2v").grid
    told = torch.zeros_like(cells)
    for latent in range(12):
        told[latent, grid.cells[latent + 1]] = 1
    # Found out on a picture of a quarter the size: cells at the very rim of a blob may be missing.
    assert cells[told.bool()].min() >= 0.08
    assert cells[~told.bool()].max() < 0.2


def test_tora_says_what_it_does_not_see():
    slow = {**path((100, 100), (140, 100)), "id": "slow"}
    quick = {**path((100, 300), (680, 300)), "id": "quick"}
    still = {"kind": "static", "points": [[360, 60]], "id": "still"}
    flags = {flag.instruction: flag for flag in tora(slow, quick, still).flags}
    assert (flags["slow"].kind, flags["still"].kind) == ("too_slow", "too_slow")
    assert "at most 7% as fast" in flags["slow"].message
    assert "Stands still" in flags["still"].message
    assert "quick" not in flags
    # Alone it is the fastest itself.
    assert tora(slow).flags == []


def test_tora_follows_up_to_sixteen_tracks_inside():
    many = [path((40 * n + 20, 200), (40 * n + 20, 300)) for n in range(17)]
    assert [flag.kind for flag in tora(*many).flags] == ["too_many"]
    assert tora(*many[:16]).flags == []
    # What stands still is nothing to it, however much there is.
    still = {"kind": "static", "points": [[20 * n + 5, 40] for n in range(30)]}
    found = tora(*many[:16], still)
    assert (found.num_tracks, [flag.kind for flag in found.flags]) == (16, ["too_slow"])
    (outside,) = (flag for flag in tora({**path((-40, 10), (200, 10)), "id": "a"}).flags if flag.instruction)
    assert outside.kind == "starts_outside"
    assert tora().grid.sources == []


def test_tora_is_shown_a_motion_spread_over_the_picture_where_that_is_asked_for():
    pan = {"id": "a", "kind": "camera", "pan": [[0, 0], [48, 10]]}
    found = tora(pan, densify=True)
    assert found.num_tracks == 15 * 22  # every 32 pixels of 480 x 720
    assert any("one for each square of 32 pixels" in note for note in found.notes)
    shown = len(set(found.grid.cells[1]))
    assert shown > 0.9 * 60 * 90
    assert not any("spread" in note for note in tora(pan).notes)


def test_tora_at_strength_zero_and_of_one_frame():
    found = tora(path((100, 240), (580, 240)), strength=0, num_frames=1)
    assert found.grid.cells == [[]]
    assert any("strength is 0" in note for note in found.notes)


def test_a_local_folder_of_tora_is_offered_as_what_it_is(tmp_path):
    from motionloom.studio.models_facts import Offered, facts, local_card

    tiny = runpy.run_path(str(Path(__file__).parents[1] / "models" / "tiny_tora.py"))
    for kind, takes_image in (("t2v", False), ("learned", True)):
        pipe = tiny["pipeline"](kind)
        tiny["save_diffusers"](tmp_path / kind, pipe, tiny["adapter"](pipe))
        card = local_card(tmp_path / kind)
        offered = facts(Offered(kind, str(tmp_path / kind), card))
        assert (offered.takes_image, offered.methods, offered.solvers) == (takes_image, ["tora"], [])
        motion = motion_of(path((6, 6), (26, 20)), width=32, height=32, num_frames=9, fps=8)
        found = received(motion, motion.size, card, GenerationSettings(num_frames=9))
        assert (found.width, found.height, found.num_frames, found.num_tracks) == (32, 32, 9, 1)
        assert found.grid.sources == [0]


@pytest.mark.slow
def test_tora_in_the_layouts_of_its_publications_is_offered_a_stock_model_is_not(tmp_path):
    from motionloom.studio.models_facts import local_card

    tiny = runpy.run_path(str(Path(__file__).parents[1] / "models" / "tiny_tora.py"))
    for kind, tag, takes_image in (("t2v", "", False), ("learned", "_I2V", True)):
        pipe = tiny["pipeline"](kind)
        adapter = tiny["adapter"](pipe)
        for folder in (
            tiny["save_sat"](tmp_path / f"sat_{kind}", pipe, adapter),
            tiny["save_addon"](tmp_path / f"addon_{kind}", adapter, tag),
        ):
            card = local_card(folder)
            assert (card.methods, card.takes_image) == (("tora",), takes_image)
    tiny["pipeline"]("t2v").save_pretrained(tmp_path / "stock")
    with pytest.raises(CheckpointError, match="follows no tracks"):
        local_card(tmp_path / "stock")
