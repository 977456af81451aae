import json

import numpy as np
import pytest

from motionloom.evaluate.movebench import open_benchmark
from motionloom.media import Clip, write_image


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Four procedural cases, made through the command line."""
    from motionloom.cli import run

    out = tmp_path_factory.mktemp("bench") / "small"
    assert run(["bench", "make", str(out), "--cases", "4", "--frames", "5", "--size", "48x32", "--seed", "1"]) == 0
    return out


@pytest.mark.slow
def test_make_info_and_check(small, folder, call):
    done = call("bench", "info", small)
    assert done.code == 0, done.err
    assert done.lines[0] == "en single"
    assert done.lines[1].split()[:2] == ["cases", "4"]
    assert "48x32: 4" in done.out
    assert "5: 4" in done.out
    assert "textured layers: 4" in done.out
    for kind in ("translation", "rotation", "zoom", "curve"):
        assert f"{kind}: 1" in done.out
    done = call("bench", "check", small)
    assert (done.code, "nothing wrong" in done.out) == (0, True), done.err
    assert call("bench", "info", small, "--language", "zh").code == 2


def test_make_refuses_what_exists_and_what_makes_no_sense(small, folder, call):
    done = call("bench", "make", small)
    assert (done.code, "exists already" in done.err) == (2, True)
    assert call("bench", "make", "new", "--size", "wide").code == 2
    assert call("bench", "make", "new", "--language", "fr").code == 2
    assert "no such folder" in call("bench", "make", "new", "--from", "none").err
    assert "is for the generator" in call("bench", "make", "new", "--from", "x", "--photographs", "y").err
    assert "found no picture" in call("bench", "make", "new", "--photographs", "none").err
    assert not (folder / "new").exists()


def test_make_from_videos_says_what_became_of_them(folder, call):
    (folder / "videos").mkdir()
    Clip(np.zeros((5, 32, 48, 3), np.uint8), 16.0).save(folder / "videos" / "black.mp4")
    done = call("bench", "make", "out", "--from", "videos", "--frames", 5)
    assert done.code == 2
    assert "skipped black.mp4: " in done.err
    assert "none of 1 videos became a case" in done.err


def test_going_on_where_a_run_had_finished_is_fine(folder, call, monkeypatch):
    from motionloom.evaluate.make_bench import Made

    skipped = {"a.mp4": "is in the benchmark already; --overwrite makes it again", "black.mp4": "nothing moves"}
    monkeypatch.setattr("motionloom.evaluate.make_bench.make_from_videos", lambda *_, **__: Made(skipped=skipped))
    done = call("bench", "make", "out", "--from", "videos")
    assert done.code == 0
    assert "out: 0 cases (none new)" in done.out


@pytest.mark.slow
def test_add_annotate_export(folder, call):
    done = call(
        "bench", "add", "mine", "--image", "photo.png", "--motion", "slide.motion.json", "--prompt", "A square, slides",
        "--frames", 9, "--tag", "square", "--mask", "photo.png",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "photo (en single, translation)" in done.out
    bench = open_benchmark("mine")
    assert (bench.cases[0].caption, bench.cases[0].read_motion().num_frames) == ("A square, slides", 9)
    assert "exists already" in call("bench", "add", "mine", "-i", "photo.png", "--motion", "slide.motion.json").err
    assert call("bench", "add", "mine", "-i", "photo.png").code == 2
    assert "no such file" in call("bench", "add", "mine", "-i", "photo.png", "--motion", "none.json", "--id", "b").err

    rows = [{"image": "photo.png", "motion": "slide.motion.json", "id": name} for name in ("b", "c")]
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    assert "2 cases added" in call("bench", "add", "mine", "--from", "rows.jsonl").out
    assert call("bench", "add", "mine", "--from", "rows.jsonl", "-i", "photo.png").code == 2

    assert call("bench", "annotate", "mine", "b", "c", "--category", "curve", "--notes", "by hand").code == 0
    assert call("bench", "annotate", "mine", "c", "--category", "").code == 0
    cases = open_benchmark("mine")
    assert [cases[name].category for name in ("photo", "b", "c")] == ["translation", "curve", None]
    assert cases["c"].annotations["notes"] == "by hand"
    assert call("bench", "annotate", "mine", "b").code == 2
    assert call("bench", "annotate", "mine", "nobody", "--notes", "x").code == 2

    assert "curves: 1 case\n" in call("bench", "export", "mine", "curves", "--category", "curve").out
    assert [case.id for case in open_benchmark("curves")] == ["b"]
    assert not (folder / "curves" / "cases.jsonl").exists()
    assert call("bench", "export", "mine", "curves").code == 2
    assert call("bench", "export", "mine", "none", "--tag", "nothing").code == 2
    assert "own" in call("bench", "info", "mine").out


def test_check_lists_errors_and_ends_with_two(folder, call):
    call("bench", "add", "mine", "-i", "photo.png", "--motion", "slide.motion.json", "--frames", 9, "--id", "a[b]")
    done = call("bench", "check", "mine")
    assert done.code == 0, done.err
    assert "no video" in done.out
    assert "1 motion, nothing wrong, 2 warnings\n" in done.out
    (folder / "mine/en/track/single/a[b]_tracks.npy").unlink()
    write_image(folder / "mine/en/mask/a[b].png", np.zeros((8, 8, 3), np.uint8))
    done = call("bench", "check", "mine")
    assert done.code == 2
    assert "2 errors and 2 warnings" in done.err
    assert [line.split()[0] for line in done.lines if line.strip()][1:3] == ["error", "error"]
    assert "a[b]" in done.out
    assert "no track/single/a[b]_tracks.npy" in done.out
    assert call("bench", "check", "none").code == 2
