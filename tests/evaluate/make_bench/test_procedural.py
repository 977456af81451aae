import hashlib

import numpy as np
import pytest
import torch

from motionloom.errors import FileFormatError, InputError
from motionloom.evaluate.categories import categorise
from motionloom.evaluate.make_bench import PROCEDURAL_SEED, make_procedural, pick_tracks
from motionloom.evaluate.make_bench.procedural import layer_of
from motionloom.evaluate.movebench import check, open_benchmark
from motionloom.media import Clip, read_image
from motionloom.prepare.procedural import render, sample_scene, trace
from motionloom.train.nano import VALIDATION_SEED

SIZE = (48, 64)
SMALL = {"cases": 4, "num_frames": 9, "size": SIZE, "tracks": 8}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "procedural"
    return out, make_procedural(out, seed=3, languages=("en", "zh"), **SMALL)


def hashes(root):
    """Of everything but what the video encoder had its hands on, and cases.jsonl, which holds the folder's name."""
    return {
        path.relative_to(root): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and path.suffix not in (".mp4", ".jpg", ".jsonl")
    }


@pytest.mark.slow
def test_categories_are_balanced_and_true(made):
    out, told = made
    assert told.categories == {"translation": 1, "rotation": 1, "zoom": 1, "curve": 1}
    bench = open_benchmark(out)
    assert [case.id for case in bench] == told.ids
    for case in bench:
        assert categorise(case.read_motion()) == case.category
        assert case.id.startswith(f"procedural_{case.category}_")
    assert len(open_benchmark(out, mode="multi")) == told.multi > 0
    assert open_benchmark(out, language="zh").cases[0].caption.endswith("。")
    assert check(out) == []


def test_tracks_and_visibility_are_those_of_the_generator(made):
    out, _ = made
    for case in open_benchmark(out):
        seed, index = case.annotations["clip"]
        scene = sample_scene(PROCEDURAL_SEED + seed, [index], num_frames=9, resolution=48)
        found = case.read_motion()
        points, visible = trace(scene, torch.from_numpy(found.points[0].copy())[None], SIZE)
        np.testing.assert_allclose(found.points, points[0].numpy(), atol=1e-3)
        assert (found.visible == visible[0].numpy()).mean() > 0.99  # the start is rounded to float32
        assert found.visible[0].all()
        frames = Clip.load(case.video).frames
        truth = render(scene, SIZE)[0].permute(0, 2, 3, 1).numpy() * 255
        assert np.abs(frames - truth).mean() < 6  # colour is kept at half the size
        # What people see as the first frame is the video's.
        assert np.abs(read_image(case.first_frame).astype(int) - frames[0]).mean() < 1.5


def test_single_tracks_lie_on_one_layer_and_in_its_mask(made):
    out, _ = made
    masks = 0
    for case in open_benchmark(out):
        seed, index = case.annotations["clip"]
        scene = sample_scene(PROCEDURAL_SEED + seed, [index], num_frames=9, resolution=48)
        start = case.read_motion().points[0]
        owner = layer_of(scene, torch.from_numpy(start.copy())[None], SIZE)[0]
        assert (owner == case.annotations["layer"]).all()
        mask = case.read_mask()
        assert (mask is None) == (case.annotations["layer"] == 0)
        if mask is not None:
            masks += 1
            column, row = start.astype(int).T
            assert mask[row, column].mean() > 0.8  # points are not at pixel centres
    assert masks >= 1
    for case in open_benchmark(out, mode="multi"):
        seed, index = case.annotations["clip"]
        scene = sample_scene(PROCEDURAL_SEED + seed, [index], num_frames=9, resolution=48)
        owner = layer_of(scene, torch.from_numpy(case.read_motion().points[0].copy())[None], SIZE)[0]
        assert len(set(owner.tolist())) >= 2
        assert 0 not in owner


@pytest.mark.slow
def test_the_same_seed_makes_the_same_files(made, tmp_path):
    out, told = made
    again = make_procedural(tmp_path / "procedural", seed=3, languages=("en", "zh"), **SMALL)
    assert again == told
    assert hashes(tmp_path / "procedural") == hashes(out)
    assert (tmp_path / "procedural/cases.jsonl").read_bytes() == (out / "cases.jsonl").read_bytes()
    # The H.264 encoder does not always repeat itself to the last bit.
    for one, two in zip(open_benchmark(out), open_benchmark(tmp_path / "procedural"), strict=True):
        difference = Clip.load(one.video).frames.astype(int) - Clip.load(two.video).frames
        assert np.square(difference).mean() < 6.5  # 40 dB
    make_procedural(tmp_path / "other", seed=4, **{**SMALL, "cases": 1})
    other = open_benchmark(tmp_path / "other").cases[0].read_motion()
    assert all(other != case.read_motion() for case in open_benchmark(out))


def test_layers_are_told_apart_as_the_picture_shows():
    scene = sample_scene(1, range(6), num_frames=3, resolution=48)
    grid = torch.rand(6, 200, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([64.0, 48.0])
    owner = layer_of(scene, grid, SIZE)
    assert set(owner.unique().tolist()) >= {0, 1, 2}
    for layer in range(1, scene.scale.shape[1]):
        # Without the layer, points change exactly where it was seen.
        present = scene.present.clone()
        present[:, layer] = False
        without = layer_of(type(scene)(**{**vars(scene), "present": present}), grid, SIZE)
        assert (without[owner != layer] == owner[owner != layer]).all()
        assert (without[owner == layer] != layer).all()


def test_seeds_do_not_meet_those_of_training():
    assert PROCEDURAL_SEED > VALIDATION_SEED + 1


def test_pick_tracks_stay_visible_and_half_of_them_move_most():
    scene = sample_scene(VALIDATION_SEED, range(4), num_frames=9, resolution=48)
    picked = pick_tracks(scene, 12, SIZE, 8.0, seed=VALIDATION_SEED)
    assert picked[2] == pick_tracks(scene, 12, SIZE, 8.0, seed=VALIDATION_SEED)[2]
    for tracks in picked:
        assert (tracks.num_tracks, tracks.num_frames, tracks.size, tracks.fps) == (12, 9, SIZE, 8.0)
        assert tracks.visible.all()
    way = [np.linalg.norm(tracks.points - tracks.points[0], axis=-1).max(0) for tracks in picked]
    assert np.mean([np.sort(w)[-6:].mean() / w.mean() for w in way]) > 1.1


@pytest.mark.slow
def test_photographs_for_textures(tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    made = make_procedural(tmp_path / "a", photographs=[photo], **{**SMALL, "cases": 1})
    assert len(made.ids) == 1
    plain = make_procedural(tmp_path / "b", **{**SMALL, "cases": 1})
    assert made.categories == plain.categories
    pictures = [read_image(open_benchmark(tmp_path / name).cases[0].first_frame) for name in "ab"]
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() > 10


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"cases": 0}, "cases: found 0"),
        ({"num_frames": 1}, "num_frames: found 1"),
        ({"size": (33, 64)}, "even sides"),
        ({"fps": float("nan")}, "fps"),
        ({"tracks": 2}, "tracks: found 2"),
        ({"languages": ("fr",)}, "languages: found fr"),
        ({"languages": ()}, "languages: found none"),
    ],
)
def test_refusals(tmp_path, change, why):
    with pytest.raises(InputError, match=why):
        make_procedural(tmp_path / "out", **{**SMALL, **change})
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_not_replaced(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="exists already"):
        make_procedural(tmp_path / "home", **SMALL)
    with pytest.raises(FileFormatError, match="holds no benchmark"):
        make_procedural(tmp_path / "home", overwrite=True, **SMALL)
    assert (tmp_path / "home" / "letter.txt").read_text() == "dear"
