import json
import os

import numpy as np
import pytest
from PIL import Image

from motionloom.errors import FileFormatError
from motionloom.evaluate.movebench import check, contents
from motionloom.media import Clip

FIRST = "Pexels_3C_product_0"


def found(root, **options):
    return [(each.level, each.case, each.what) for each in check(root, **options)]


def test_a_sound_benchmark_has_no_findings(published):
    seen = []
    assert check(published, on_progress=lambda done, total: seen.append((done, total))) == []
    assert seen[-1] == (8, 8)


def remove(name):
    return lambda en: (en / name).unlink()


def write(name, content):
    return lambda en: (en / name).write_bytes(content)


def pipe(name):
    """Reading it would wait for ever."""

    def make(en):
        (en / name).unlink()
        os.mkfifo(en / name)

    return make


def array(name, values):
    return lambda en: np.save(en / f"track/single/{FIRST}_{name}.npy", values)


def video(shape):
    return lambda en: Clip(np.zeros((*shape, 3), np.uint8), 16).save(en / f"video/{FIRST}.mp4")


def mask(size, value):
    def save(en):
        (en / "mask").mkdir()
        Image.new("L", size, value).save(en / f"mask/{FIRST}.png")

    return save


@pytest.mark.parametrize(
    ("damage", "level", "what"),
    [
        (remove(f"first_frame/{FIRST}.jpg"), "error", "no first_frame/"),
        (write(f"first_frame/{FIRST}.jpg", b"x"), "error", "not an image"),
        (remove(f"track/single/{FIRST}_tracks.npy"), "error", "no track/single/"),
        (remove(f"track/single/{FIRST}_visibility.npy"), "warning", "every point counts as visible"),
        (pipe(f"track/single/{FIRST}_tracks.npy"), "error", "no track/single/"),
        (pipe(f"first_frame/{FIRST}.jpg"), "error", "no first_frame/"),
        (array("visibility", np.ones((1, 3, 5), bool)), "error", "swapped"),
        (array("visibility", np.zeros((1, 5, 3), bool)), "error", "no track is visible on the first"),
        (array("tracks", np.ones((1, 5, 3))), "error", "expected"),
        (array("tracks", np.full((1, 5, 3, 2), np.nan)), "error", "nan"),
        (array("tracks", np.full((1, 5, 3, 2), 99.0)), "error", "outside"),
        (remove(f"video/{FIRST}.mp4"), "warning", "no video"),
        (write(f"video/{FIRST}.mp4", b"x" * 99), "error", "not a video"),
        (video((5, 16, 48)), "error", "the video is 48x16"),
        (video((5, 32, 48)), "warning", "another picture"),
        (mask((9, 9), 255), "error", "the mask is 9x9"),
        (mask((48, 32), 0), "error", "shows nothing"),
    ],
)
def test_each_damage_is_found_where_it_is(published, damage, level, what):
    damage(published / "en")
    findings = found(published, language="en", mode="single")
    assert {case for _, case, _ in findings} == {FIRST}
    assert [each for each in findings if each[0] == level and what in each[2]], findings


def test_frames_that_disagree(published):
    en = published / "en"
    for end, array in (("tracks", np.full((1, 4, 3, 2), 9.0)), ("visibility", np.ones((1, 4, 3), bool))):
        np.save(en / f"track/single/{FIRST}_{end}.npy", array)
    assert found(published, language="en", mode="single") == [
        ("error", FIRST, "the video has 5 frames, the tracks 4"),
        ("warning", FIRST, "4 frames, the others have 5"),
    ]
    assert [level for level, *_ in found(published, language="en", mode="single", videos=False)] == ["warning"]


def test_copies_strays_and_records_without_a_case(published):
    en = published / "en"
    for name in (f"first_frame/{FIRST}.jpg", f"track/single/{FIRST}_tracks.npy"):
        path = en / name
        path.with_name(path.name.replace(FIRST, "copy")).write_bytes(path.read_bytes())
    np.save(en / "track/single/stray_tracks.npy", np.ones((1, 5, 1, 2)))
    with (en / "single_track.txt").open("a", encoding="utf-8") as file:
        file.write("copy.mp4,\n")
    (published / "cases.jsonl").write_text(json.dumps({"id": "gone"}) + "\n")
    findings = found(published)
    assert ("warning", "copy", f"the same first frame and tracks as {FIRST}") in findings
    assert ("warning", "copy", "no caption") in findings
    assert ("warning", "gone", "cases.jsonl has a record of it, but no list") in findings
    assert any("holds stray, which single_track.txt does not name" in what for *_, what in findings)
    assert not [each for each in findings if each[0] == "error"]


def test_damaged_lists_and_manifests_are_findings_not_crashes(published):
    (published / "en/single_track.txt").write_text("nonsense\n")
    (published / "cases.jsonl").write_text('{"id": "a", "category": "spin"}\n')
    findings = found(published)
    assert any("line 1 holds no comma" in what for *_, what in findings)
    assert any("category is 'spin'" in what for *_, what in findings)
    (published / "zh/multi_track.txt").write_text("# none\n")
    assert any("names no case" in what for *_, what in found(published))
    with pytest.raises(FileFormatError, match="no such folder"):
        check(published / "none")


def test_contents_are_counted(published):
    (published / f"en/track/single/{FIRST}_tracks.npy").write_bytes(b"x")
    single, multi = contents(published, language="en")
    assert (single.language, single.mode, single.cases, single.videos, single.masks) == ("en", "single", 3, 3, 0)
    assert single.categories == {"translation": 2, "unreadable": 1}
    assert single.contents == {"3C product": 2, "big cat": 1}
    assert (single.sizes, single.frames, single.tracks) == ({"48x32": 2}, {5: 2}, [3, 3])
    assert (multi.cases, multi.tracks) == (1, [6])
