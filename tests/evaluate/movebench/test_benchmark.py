import json
import shutil

import numpy as np
import pytest
from PIL import Image

from motionloom.errors import FileFormatError, InputError
from motionloom.evaluate.movebench import open_benchmark
from motionloom.media import Clip


def test_the_published_layout_is_read_as_it_is(published):
    bench = open_benchmark(published)
    assert (bench.name, bench.language, bench.mode, bench.fps, len(bench)) == ("MoveBench", "en", "single", 16.0, 3)
    assert [case.id for case in bench] == ["Pexels_3C_product_0", "Pexels_3C_product_1", "Pexels_big_cat_7"]
    case = bench["Pexels_3C_product_0"]
    assert case.caption == "A phone, on a table, slides."
    assert (case.content, bench["Pexels_big_cat_7"].content) == ("3C product", "big cat")
    assert case.first_frame == published / "en/first_frame/Pexels_3C_product_0.jpg"
    assert case.video == published / "en/video/Pexels_3C_product_0.mp4"
    assert (case.mask, case.last_frame, case.category) == (None, None, None)
    tracks = case.read_motion()
    written = np.load(published / "en/track/single/Pexels_3C_product_0_tracks.npy")[0]
    np.testing.assert_array_equal(tracks.points, written.astype(np.float32))
    assert (tracks.size, tracks.fps, tracks.num_frames, tracks.num_tracks) == ((32, 48), 16.0, 5, 3)
    assert tracks.visible.sum() == 14
    assert case.motion_category() == "translation"
    assert open_benchmark(published, mode="multi").cases[0].read_motion().num_tracks == 6
    assert open_benchmark(published, language="zh").cases[0].caption == "手机，滑动"


def test_one_language_may_be_given_by_its_folder(published):
    assert open_benchmark(published / "zh").language == "zh"
    assert open_benchmark(published / "en", mode="multi").cases[0].caption == "A lion: roars"
    with pytest.raises(InputError, match="there is zh single, zh multi"):
        open_benchmark(published / "zh", language="en")
    # A language folder under another name is taken for the English one.
    shutil.copytree(published / "zh", published.parent / "mine")
    assert open_benchmark(published.parent / "mine").language == "en"


def test_what_is_not_there_is_said_with_what_is(published, tmp_path):
    shutil.rmtree(published / "zh")
    with pytest.raises(InputError, match=r"found 'zh', but there is en single, en multi"):
        open_benchmark(published, language="zh")
    (published / "en/multi_track.txt").unlink()
    with pytest.raises(InputError, match=r"multi_track.txt is missing; there is en single"):
        open_benchmark(published, mode="multi")
    with pytest.raises(InputError, match="expected 'single' or 'multi'"):
        open_benchmark(published, mode="both")
    with pytest.raises(FileFormatError, match="no such folder"):
        open_benchmark(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileFormatError, match="holds no benchmark"):
        open_benchmark(tmp_path / "empty")
    (tmp_path / "en.tar.gz").write_bytes(b"x")
    with pytest.raises(FileFormatError, match="an archive; unpack it"):
        open_benchmark(tmp_path / "en.tar.gz")
    with pytest.raises(InputError, match="not among the 3 cases"):
        open_benchmark(published)["other"]


def test_missing_files_are_refused_or_left_out(published):
    (published / "en/first_frame/Pexels_3C_product_1.jpg").unlink()
    (published / "en/track/single/Pexels_big_cat_7_tracks.npy").unlink()
    with pytest.raises(FileFormatError, match=r"2 of 3 cases are incomplete.*first_frame/Pexels_3C_product_1.jpg"):
        open_benchmark(published)
    bench = open_benchmark(published, strict=False)
    assert [case.id for case in bench] == ["Pexels_3C_product_0"]
    assert set(bench.left_out) == {"Pexels_3C_product_1", "Pexels_big_cat_7"}
    assert "track/single/Pexels_big_cat_7_tracks.npy" in bench.left_out["Pexels_big_cat_7"]
    # Without a video there is nothing to compare with, but everything to generate.
    (published / "en/video/Pexels_3C_product_0.mp4").unlink()
    assert open_benchmark(published, strict=False).cases[0].video is None


def test_missing_visibility_means_all_visible(published):
    (published / "en/track/single/Pexels_3C_product_0_visibility.npy").unlink()
    case = open_benchmark(published).cases[0]
    assert case.visibility_file is None
    assert case.read_motion().visible.all()


def test_hidden_positions_may_be_nan_visible_ones_may_not(published):
    path = published / "en/track/single/Pexels_3C_product_0_tracks.npy"
    points = np.load(path)
    points[0, -1, 0] = np.nan
    np.save(path, points)
    assert open_benchmark(published).cases[0].read_motion().num_tracks == 3
    points[0, 1, 1] = np.nan
    np.save(path, points)
    with pytest.raises(FileFormatError, match="frame 1, track 1"):
        open_benchmark(published).cases[0].read_motion()


def test_tracks_near_the_corner_are_pixels_all_the_same(published):
    np.save(published / "en/track/single/Pexels_3C_product_0_tracks.npy", np.ones((1, 5, 3, 2)))
    assert open_benchmark(published).cases[0].read_motion().points.max() == 1


def test_a_sample_holds_what_measuring_needs(published):
    case = open_benchmark(published).cases[0]
    mask = np.zeros((32, 48), np.uint8)
    mask[8:16, 12:36] = 255
    (published / "en/mask").mkdir()
    Image.fromarray(mask).save(published / "en/mask/Pexels_3C_product_0.png")
    case = open_benchmark(published).cases[0]
    video = Clip(np.zeros((5, 64, 96, 3), np.uint8), 16.0)
    sample = case.sample(video, seed=3)
    assert (sample.name, sample.seed, sample.category) == (case.id, 3, "translation")
    assert (sample.prompt, sample.reference, sample.first_image) == (case.caption, case.video, case.first_frame)
    assert sample.box == (24.0, 16.0, 72.0, 32.0)  # in pixels of the video, which is twice as large
    path = video.save(published / "made.mp4")
    assert case.sample(path).box == sample.box
    assert case.sample(path, by_frame=True).by_frame


def test_the_manifest_adds_to_the_layout(published):
    lines = [
        {"format": "motionloom.benchmark", "version": 1, "name": "mine", "fps": 8},
        {"id": "Pexels_big_cat_7", "category": "zoom", "content": "lions", "tags": ["animal"], "who": "me"},
    ]
    (published / "cases.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    bench = open_benchmark(published)
    assert (bench.name, bench.fps) == ("mine", 8.0)
    case = bench["Pexels_big_cat_7"]
    assert (case.category, case.content) == ("zoom", "lions")
    assert case.annotations == {"tags": ["animal"], "who": "me"}
    assert case.read_motion().fps == 8.0
    assert case.sample("none.mp4").category == "zoom"
    assert open_benchmark(published / "zh")["Pexels_big_cat_7"].category == "zoom"


def test_the_digest_changes_with_everything_that_is_measured(published):
    digests = [open_benchmark(published).digest]
    assert digests[0] == open_benchmark(published).digest
    assert digests[0] != open_benchmark(published, mode="multi").digest
    changes = [
        lambda: np.save(published / "en/track/single/Pexels_big_cat_7_visibility.npy", np.zeros((1, 5, 3), bool)),
        lambda: (published / "en/video/Pexels_big_cat_7.mp4").unlink(),
        lambda: (published / "cases.jsonl").write_text('{"id": "Pexels_big_cat_7", "category": "curve"}\n'),
        lambda: (published / "en/single_track.txt").write_text("Pexels_big_cat_7.mp4,A cat"),
    ]
    for change in changes:
        change()
        digests.append(open_benchmark(published).digest)
    assert len(set(digests)) == len(digests)
