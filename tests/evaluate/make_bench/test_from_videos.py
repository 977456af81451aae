import json

import cv2
import numpy as np
import pytest
from PIL import Image

from motionloom.errors import FileFormatError, InputError
from motionloom.evaluate.make_bench import from_videos, make_from_videos
from motionloom.evaluate.movebench import check, open_benchmark
from motionloom.media import Clip

SIZE, FRAMES = (96, 128), 9


def noise(shape, seed):
    blurred = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, (*shape, 3)).astype(np.float32), (0, 0), 2)
    return np.clip(128 + 60 * blurred / blurred.std(), 0, 255).astype(np.uint8)


def discs(*paths, frames=17, size=SIZE):
    """Textured discs of radius 16 that follow paths [T, 2] over a textured ground that stands still."""
    ground = noise(size, 0)
    y, x = np.mgrid[0 : size[0], 0 : size[1]] + 0.5
    video = np.repeat(ground[None], frames, 0)
    for number, path in enumerate(paths):
        texture = noise((40, 40), number + 1)
        for t in range(frames):
            cx, cy = path[t]
            inside = (x - cx) ** 2 + (y - cy) ** 2 < 256
            shift = np.float32([[1, 0, cx - 20], [0, 1, cy - 20]])
            moved = cv2.warpAffine(texture, shift, size[::-1], borderMode=cv2.BORDER_REFLECT)
            video[t][inside] = moved[inside]
    return video


def line(start, end, frames=17):
    return np.linspace(start, end, frames)


@pytest.fixture(autouse=True)
def fewer_points(monkeypatch):
    """Enough for discs of this size; following is what takes the time."""
    monkeypatch.setattr(from_videos, "POINTS", 140)


@pytest.fixture
def folder(tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    right = line((30, 40), (80, 40))
    Clip(discs(right), 16.0).save(videos / "a disc.mp4", quality=100)
    return videos


OPTIONS = {"num_frames": FRAMES, "fps": 8.0, "tracks": 8}


@pytest.mark.slow
def test_the_thing_that_moves_is_found_and_followed(folder, tmp_path):
    made = make_from_videos(folder, tmp_path / "bench", **OPTIONS)
    assert (made.ids, made.skipped, made.categories) == (["a_disc"], {}, {"translation": 1})
    case = open_benchmark(tmp_path / "bench").cases[0]
    assert (case.caption, case.fps, case.annotations["source"]) == ("a disc", 8.0, "a disc.mp4")
    tracks = case.read_motion()
    assert (tracks.num_frames, tracks.size) == (FRAMES, SIZE)  # every second frame of the source
    # All points began on the disc and went along with it.
    assert (np.linalg.norm(tracks.points[0] - [30, 40], axis=1) < 19).all()
    moved = tracks.points[-1] - tracks.points[0]
    assert np.abs(np.median(moved, axis=0) - [50, 0]).max() < 0.5
    assert tracks.visible.mean() > 0.8
    assert check(tmp_path / "bench") == []


@pytest.mark.slow
def test_several_things(folder, tmp_path):
    (folder / "a disc.mp4").unlink()
    Clip(discs(line((25, 30), (85, 30)), line((100, 70), (45, 74))), 16.0).save(folder / "two.mp4", quality=100)
    made = make_from_videos(folder, tmp_path / "bench", **OPTIONS)
    assert (made.ids, made.multi) == (["two"], 1)
    tracks = open_benchmark(tmp_path / "bench", mode="multi").cases[0].read_motion()
    way = tracks.points[-1, :, 0] - tracks.points[0, :, 0]
    assert (way > 40).sum() >= 4
    assert (way < -40).sum() >= 4
    single = open_benchmark(tmp_path / "bench")["two"].read_motion()
    assert len(set(np.sign(single.points[-1, :, 0] - single.points[0, :, 0]))) == 1


@pytest.mark.slow
def test_a_mask_says_which_thing(folder, tmp_path):
    (folder / "a disc.mp4").unlink()
    Clip(discs(line((25, 30), (95, 30)), line((90, 70), (70, 70))), 16.0).save(folder / "two.mp4", quality=100)
    mask = np.zeros(SIZE, np.uint8)
    cv2.circle(mask, (90, 70), 14, 255, -1)
    Image.fromarray(mask).save(folder / "two.mask.png")
    make_from_videos(folder, tmp_path / "bench", **OPTIONS)
    case = open_benchmark(tmp_path / "bench")["two"]
    assert (case.read_mask() == (mask > 0)).all()
    tracks = case.read_motion()
    assert (np.linalg.norm(tracks.points[0] - [90, 70], axis=1) < 16).all()
    assert np.median(tracks.points[-1, :, 0] - tracks.points[0, :, 0]) == pytest.approx(-20, abs=0.7)


def test_captions_from_text_files_a_table_or_the_name(folder, tmp_path):
    (folder / "b.txt").write_text("A disc,\nmoving right\n")
    (folder / "d.zh.txt").write_text("圆盘二")
    (folder / "captions.csv").write_text("video,en,zh\na disc.mp4,From the table,圆盘\nc,,圆\n", "utf-8")
    captions, both = from_videos.Captions(folder), ("en", "zh")
    assert captions.of(folder / "a disc.mp4", both) == {"en": "From the table", "zh": "圆盘"}
    assert captions.of(folder / "b.mp4", both) == {"en": "A disc, moving right"}
    assert captions.of(folder / "c.mp4", both) == {"en": "c", "zh": "圆"}
    assert captions.of(folder / "d.mp4", ("zh",)) == {"zh": "圆盘二"}
    with pytest.raises(InputError, match="has no caption in zh"):
        captions.of(folder / "b.mp4", ("zh",))
    (folder / "captions.csv").write_text("a;b\n1;2\n")
    with pytest.raises(FileFormatError, match=r"found the columns a;b, expected video and caption"):
        from_videos.Captions(folder)


@pytest.mark.slow
def test_each_language_is_made_where_it_has_captions(folder, tmp_path):
    (folder / "a disc.zh.txt").write_text("圆盘")
    make_from_videos(folder, tmp_path / "bench", languages=("en", "zh"), **OPTIONS)
    english, chinese = (open_benchmark(tmp_path / "bench", language=name) for name in ("en", "zh"))
    assert (english.cases[0].caption, chinese.cases[0].caption) == ("a disc", "圆盘")
    assert english.cases[0].video.read_bytes() == chinese.cases[0].video.read_bytes()
    assert english.cases[0].read_motion() == chinese.cases[0].read_motion()


@pytest.mark.slow
def test_size_scales_and_cuts_tracks_and_frames_alike(folder, tmp_path):
    make_from_videos(folder, tmp_path / "bench", size=(64, 64), **OPTIONS)
    case = open_benchmark(tmp_path / "bench").cases[0]
    tracks = case.read_motion()
    assert (tracks.size, Clip.load(case.video).size) == ((64, 64), (64, 64))
    # 128x96 covers 64x64 at two thirds; 10.67 pixels go on the left and on the right.
    centre = np.array([30 * 2 / 3 - 32 / 3, 40 * 2 / 3])
    assert (np.linalg.norm(tracks.points[0] - centre, axis=1) < 12).all()
    assert np.median(tracks.points[-1, :, 0] - tracks.points[0, :, 0]) == pytest.approx(50 * 2 / 3, abs=0.7)


@pytest.mark.slow
def test_videos_that_cannot_become_cases_are_skipped_with_the_reason(folder, tmp_path):
    still = discs(line((60, 40), (60, 40)))
    Clip(still, 16.0).save(folder / "still.mp4", quality=100)
    Clip(still[:5], 16.0).save(folder / "short.mp4")
    (folder / "broken.mp4").write_bytes(b"no video" * 20)
    Clip(discs(line((30, 40), (80, 40))), 16.0).save(folder / "masked.mp4")
    Image.new("L", (10, 10), 255).save(folder / "masked.mask.png")
    made = make_from_videos(folder, tmp_path / "bench", **OPTIONS)
    assert made.ids == ["a_disc"]
    reasons = {"still": "nothing moves", "short": "lasts 0.3 s", "broken": "not a video", "masked": "is 10x10"}
    assert {name.removesuffix(".mp4") for name in made.skipped} == set(reasons)
    for name, why in reasons.items():
        assert why in made.skipped[f"{name}.mp4"]
    assert len(open_benchmark(tmp_path / "bench")) == 1


@pytest.mark.slow
def test_a_second_run_goes_on(folder, tmp_path):
    bench = tmp_path / "bench"
    make_from_videos(folder, bench, **OPTIONS)
    before = (bench / "en/video/a_disc.mp4").stat().st_mtime_ns
    Clip(discs(line((80, 50), (30, 60))), 16.0).save(folder / "later.mp4", quality=100)
    made = make_from_videos(folder, bench, **OPTIONS)
    assert made.ids == ["later"]
    assert "already" in made.skipped["a disc.mp4"]
    assert (bench / "en/video/a_disc.mp4").stat().st_mtime_ns == before
    records = [json.loads(line) for line in (bench / "cases.jsonl").read_text().splitlines()]
    assert [record.get("id") for record in records] == [None, "a_disc", "later"]
    with pytest.raises(InputError, match="num_frames: found 5, expected 9"):
        make_from_videos(folder, bench, **{**OPTIONS, "num_frames": 5})


def test_folders_without_videos(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        make_from_videos(tmp_path / "none", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no video"):
        make_from_videos(tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_peoples_folders_stay_as_they_are(folder, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(FileFormatError, match="holds no benchmark"):
        make_from_videos(folder, tmp_path / "home", **OPTIONS)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["letter.txt"]
