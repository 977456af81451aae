import json
import shutil
import threading

import numpy as np
import pytest

from motionloom.errors import FileFormatError, InputError
from motionloom.evaluate.movebench import add_case, add_cases, annotate, check, open_benchmark, read_case_list
from motionloom.evaluate.movebench import write as write_module
from motionloom.media import Clip, read_image, write_image
from motionloom.tracks.motion import Motion
from motionloom.tracks.tracks import Tracks

SIZE = (32, 48)


@pytest.fixture
def photo():
    y, x = np.mgrid[0:32, 0:48]
    return np.stack([x * 5, y * 7, 255 - x * 5], -1).astype(np.uint8)


def slide(frames=9, size=SIZE, fps=8.0):
    t = np.linspace(0, 1, frames)[:, None, None]
    points = np.array([[10.0, 10.0], [12.0, 14.0]]) + t * np.array([16.0, 0.0])
    return Tracks(points.astype(np.float32), np.ones((frames, 2), bool), size, fps)


def errors(root):
    return [each for each in check(root) if each.level == "error"]


def test_a_case_of_ones_own_stands_beside_the_published_ones(published, photo):
    before = (published / "en/single_track.txt").read_text("utf-8-sig")
    case = add_case(
        published, image=photo, motion=slide(), caption="A square,\n slides", id="mine", tags=["test"], notes="first"
    )
    assert (case.caption, case.category, case.annotations["tags"]) == ("A square, slides", "translation", ["test"])
    tracks = open_benchmark(published)["mine"].read_motion()
    # Nine frames at 8 per second became the benchmark's five at 16: the same way, stretched.
    assert (tracks.num_frames, tracks.fps, tracks.size) == (5, 16.0, SIZE)
    np.testing.assert_allclose(tracks.points[:, 0, 0], [10, 14, 18, 22, 26])
    after = (published / "en/single_track.txt").read_text("utf-8")
    assert after.startswith(before.rstrip("\n"))
    assert after.endswith("\nmine.mp4,A square, slides\n")
    saved = np.load(published / "en/track/single/mine_tracks.npy")
    assert (saved.shape, saved.dtype) == ((1, 5, 2, 2), np.float32)
    assert np.load(published / "en/track/single/mine_visibility.npy").shape == (1, 5, 2)
    assert np.abs(read_image(case.first_frame).astype(int) - photo).mean() < 1
    assert "mine" not in [each.id for each in open_benchmark(published / "zh")]
    assert errors(published) == []


def test_motions_scale_from_their_own_canvas(published, photo):
    document = {
        "format": "motionloom.motion", "version": 1, "canvas": {"width": 96, "height": 64}, "num_frames": 17, "fps": 8,
        "instructions": [{"kind": "path", "points": [[20.0, 30.0], [60.0, 30.0]], "curve": "polyline"}],
    }  # fmt: skip
    path = published / "drawn.motion.json"
    path.write_text(json.dumps(document))
    assert Motion.load(path).num_frames == 17
    case = add_case(published, image=photo, motion=path, id="drawn", category="zoom")
    assert case.category == "zoom"
    np.testing.assert_allclose(case.read_motion().points[[0, -1], 0], [[10, 15], [30, 15]], atol=1e-4)


def test_an_empty_folder_becomes_a_benchmark(tmp_path, photo):
    write_image(tmp_path / "square one.png", photo)
    case = add_case(tmp_path / "new", image=tmp_path / "square one.png", motion=slide(), num_frames=9, fps=8)
    assert (case.id, case.fps) == ("square_one", 8.0)
    assert case.read_motion() == slide()
    # The same photograph may have tracks of several objects and a Chinese caption too.
    add_case(tmp_path / "new", image=photo, motion=slide(), id="square_one", mode="multi")
    add_case(tmp_path / "new", image=photo, motion=slide(), id="square_one", language="zh", caption="方块")
    assert open_benchmark(tmp_path / "new", mode="multi").cases[0].read_motion().num_tracks == 2
    assert open_benchmark(tmp_path / "new", language="zh").cases[0].caption == "方块"
    assert errors(tmp_path / "new") == []
    with pytest.raises(InputError, match="expected 9"):
        add_case(tmp_path / "new", image=photo, motion=slide(), id="b", num_frames=17)


def test_nothing_existing_is_replaced_unasked(published, photo):
    bytes_before = {path: path.read_bytes() for path in published.rglob("*") if path.is_file()}
    id = "Pexels_3C_product_0"
    with pytest.raises(InputError, match="exists already in"):
        add_case(published, image=photo, motion=slide(), id=id)
    with pytest.raises(InputError, match="another first frame"):
        add_case(published, image=photo, motion=slide(), id=id, mode="multi")
    for wrong in ("../out", "a/b", "a,b", "#a", ".x"):
        with pytest.raises(InputError, match="id: found"):
            add_case(published, image=photo, motion=slide(), id=wrong)
    with pytest.raises(InputError, match="category"):
        add_case(published, image=photo, motion=slide(), id="new", category="spin")
    with pytest.raises(InputError, match="no track"):
        add_case(published, image=photo, motion=Tracks.empty(5, SIZE, 16.0), id="new")
    with pytest.raises(InputError, match="last_frame: found 20x20, expected 48x32"):
        add_case(published, image=photo, motion=slide(), id="new", last_image=np.zeros((20, 20, 3), np.uint8))
    for path, content in bytes_before.items():
        assert path.read_bytes() == content
    assert len(open_benchmark(published)) == 3
    with pytest.raises(InputError, match="exists already as zh single with another first frame"):
        add_case(published, image=photo, motion=slide(), id=id, overwrite=True)


def test_replacing_takes_along_what_belonged_to_the_old_picture(published, photo):
    id = "Pexels_3C_product_0"
    shutil.rmtree(published / "zh")
    same = read_image(published / f"en/first_frame/{id}.jpg")
    case = add_case(published, image=same, motion=slide(), id=id, caption="Replaced", overwrite=True)
    assert case.video is not None
    assert open_benchmark(published).cases[0].caption == "Replaced"
    case = add_case(published, image=photo, motion=slide(), id=id, caption="Again", overwrite=True)
    assert case.video is None
    assert not (published / f"en/video/{id}.mp4").exists()
    assert len(open_benchmark(published)) == 3
    assert errors(published) == []


def test_tracks_of_several_objects_for_a_published_case_leave_its_picture_alone(published):
    id = "Pexels_3C_product_0"
    path = published / f"en/first_frame/{id}.jpg"
    before = path.read_bytes()
    case = add_case(published, image=path, motion=slide(), id=id, caption="Two", mode="multi")
    assert (path.read_bytes(), case.video) == (before, published / f"en/video/{id}.mp4")
    assert open_benchmark(published)[id].read_motion().num_tracks == 3


def test_a_crash_between_the_files_leaves_no_case_without_its_files(published, photo, monkeypatch):
    def fail(*_):
        raise RuntimeError("power")

    monkeypatch.setattr(write_module, "put_in_list", fail)
    with pytest.raises(RuntimeError):
        add_case(published, image=photo, motion=slide(), id="mine")
    assert len(open_benchmark(published)) == 3
    assert not list(published.rglob("*.part*"))
    monkeypatch.undo()
    add_case(published, image=photo, motion=slide(), id="mine")
    assert errors(published) == []


def test_videos_fit_the_frames_of_the_benchmark(published, photo, tmp_path):
    frames = np.stack([np.roll(photo, 2 * t, axis=1) for t in range(9)])
    path = Clip(frames, 8.0).save(tmp_path / "nine.mp4", quality=100)
    case = add_case(published, video=path, motion=slide(), mask=np.ones(SIZE, bool), last_image=photo)
    assert case.id == "nine"
    made = Clip.load(case.video)
    assert (made.num_frames, made.fps) == (5, 16.0)
    assert np.abs(made.frames[2].astype(int) - Clip.load(path).frames[4]).mean() < 3
    assert np.abs(read_image(case.first_frame).astype(int) - Clip.load(path).frames[0]).mean() < 1
    assert case.read_mask().all()
    assert errors(published) == []
    # One that fits already is kept byte for byte.
    fitting = Clip(frames[:5], 16.0).save(tmp_path / "five.mp4")
    case = add_case(published, video=fitting, motion=slide(5))
    assert case.video.read_bytes() == fitting.read_bytes()
    small = Clip(np.zeros((9, 16, 20, 3), np.uint8), 8.0)
    with pytest.raises(InputError, match="video: found 5 frames of 20x16"):
        add_case(published, image=photo, video=small, motion=slide(), id="small")


def test_many_at_once_from_a_list(published, photo, tmp_path):
    write_image(tmp_path / "a.png", photo)
    np.save(tmp_path / "a_tracks.npy", slide(5).points[None])
    rows = [
        {"image": "a.png", "track": "a_tracks.npy", "text": "one", "name": "first", "tags": "x"},
        {"image": "a.png", "motion": "a_tracks.npy", "prompt": "two", "id": "second", "category": "curve"},
    ]
    (tmp_path / "list.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    added = add_cases(published, read_case_list(tmp_path / "list.jsonl"))
    assert [(case.id, case.caption, case.category) for case in added] == [
        ("first", "one", "translation"),
        ("second", "two", "curve"),
    ]
    assert open_benchmark(published)["first"].annotations["tags"] == ["x"]
    with pytest.raises(InputError, match=r"item 1 \(first\).*exists already"):
        add_cases(published, read_case_list(tmp_path / "list.jsonl"))
    for text, why in (
        ("- {image: a.png, motion: a_tracks.npy}\n- {image: a.png, motion: a_tracks.npy}", "like item 1"),
        ("- {image: none.png, motion: a_tracks.npy}", "no file"),
        ("- {image: a.png}", "expected motion"),
        ("- {image: a.png, motion: a_tracks.npy, speed: 3}", "'speed' is unknown"),
        ("- &a {image: a.png, motion: a_tracks.npy}\n- *a", "aliases"),
        (
            "- {image: a.png, motion: a_tracks.npy}\n- {image: a.png, motion: a_tracks.npy, id: ../x}",
            r"item 2: id: .*dot",
        ),
        ("- {image: a.png, motion: a_tracks.npy, category: spin}", "item 1: category: found 'spin'"),
        ("- {image: a.png, motion: a_tracks.npy, mode: both}", "item 1: mode: found 'both'"),
        ("image: a.png", "expected a list"),
        ("[", "neither a YAML list"),
    ):
        (tmp_path / "list.yaml").write_text(text)
        with pytest.raises(FileFormatError, match=why):
            read_case_list(tmp_path / "list.yaml")


def test_a_line_that_is_not_json_is_named(tmp_path):
    (tmp_path / "list.jsonl").write_text("\n{}\nnot json\n")
    with pytest.raises(FileFormatError, match="line 3 is not JSON"):
        read_case_list(tmp_path / "list.jsonl")


def test_two_writers_lose_nothing(published, photo):
    failed = []

    def add(name):
        try:
            for number in range(4):
                add_case(published, image=photo, motion=slide(), id=f"{name}{number}")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=add, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(open_benchmark(published)) == 11
    assert errors(published) == []


def test_annotations_of_published_cases(published):
    annotate(published, ["Pexels_big_cat_7"], {"category": "curve", "tags": ["cat"], "notes": "tail"})
    case = open_benchmark(published / "zh")["Pexels_big_cat_7"]
    assert (case.category, case.annotations) == ("curve", {"tags": ["cat"], "notes": "tail"})
    annotate(published, ["Pexels_big_cat_7"], {"category": None, "notes": None})
    case = open_benchmark(published)["Pexels_big_cat_7"]
    assert (case.category, case.annotations) == (None, {"tags": ["cat"]})
    with pytest.raises(InputError, match="not among the 3 cases"):
        annotate(published, ["other"], {"notes": "x"})
    with pytest.raises(InputError, match="expected one of translation"):
        annotate(published, ["Pexels_big_cat_7"], {"category": "spin"})
