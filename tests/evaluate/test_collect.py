import json

import numpy as np
import pytest

import motionloom as ml
from motionloom.errors import FileFormatError, InputError
from motionloom.evaluate.collect import collect
from motionloom.tracks.motion import Motion
from motionloom.tracks.tracks import Tracks


def test_a_folder_with_motions_and_true_videos_of_the_same_names(videos):
    samples = collect(videos / "videos", motion=videos / "motions", reference=videos / "true")
    assert [sample.name for sample in samples] == ["fast", "slow", "still"]
    for sample in samples:
        assert sample.reference == videos / "true" / f"{sample.name}.mp4"
        assert isinstance(sample.motion, Tracks)
        assert sample.by_frame  # the file holds no rate
        assert sample.seed is None


def test_a_clip_of_ours_knows_what_was_asked(videos):
    motion = ml.read_tracks(videos / "motions" / "fast.npz", size=(64, 96), fps=8.0)
    clip = ml.load("warp").generate(videos / "photo.png", motion, seed=7, num_frames=5)
    clip.save(videos / "mine" / "made.mp4")
    (sample,) = collect(videos / "mine" / "made.mp4")
    assert isinstance(sample.motion, Tracks)
    assert (sample.seed, sample.by_frame, sample.first_image) == (7, False, videos / "photo.png")
    (videos / "photo.png").unlink()
    assert collect(videos / "mine" / "made.mp4")[0].first_image is None


def test_a_manifest_names_files_from_where_it_lies(videos, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    entries = [
        {"video": "videos/fast.mp4", "tracks": "motions/fast.npz", "prompt": "it slides", "image": "photo.png",
         "category": "translation", "seed": 3, "box": [1, 2, 30, 40]},
        {"video": "videos/fast.mp4", "seed": 4},
        {"video": "videos/slow.mp4", "name": "other", "reference": "true/slow.mp4"},
    ]  # fmt: skip
    (videos / "list.jsonl").write_text("\n".join(json.dumps(entry) for entry in entries))
    (videos / "list.yaml").write_text(json.dumps(entries))
    for name in ("list.jsonl", "list.yaml"):
        first, second, third = collect(videos / name)
        assert (first.name, first.seed, first.prompt, first.category) == ("fast", 3, "it slides", "translation")
        assert (first.box, first.first_image) == ((1.0, 2.0, 30.0, 40.0), videos / "photo.png")
        assert (second.motion, second.seed) == (None, 4)
        assert (third.name, third.reference) == ("other", videos / "true" / "slow.mp4")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"video": "gone.mp4"}], "list.json, entry 1: .*gone.mp4: no such file"),
        ([{"video": "videos/fast.mp4", "reference": "gone.mp4"}], "gone.mp4: no such file, expected the reference"),
        ([{"prompt": "a"}], "entry 1: has no video"),
        ([{"video": "videos/fast.mp4", "colour": 1}], "unknown key 'colour'"),
        ([{"video": 3}], "video: found 3, expected a file's name"),
        ([{"video": "videos/fast.mp4", "box": [1, 2]}], r"box: found \[1, 2\]"),
        ([{"video": "videos/fast.mp4", "box": "1234"}], "box: found '1234'"),
        (["videos/fast.mp4"], "entry 1: found str"),
        ({"video": "x"}, "found no list"),
        ([], "found no entry"),
        ([{"video": "videos/fast.mp4"}, {"video": "true/fast.mp4"}], "two videos are called 'fast'"),
        ([{"video": "videos/fast.mp4", "seed": 1}, {"video": "true/fast.mp4", "name": "fast.seed-1"}], "nearly so"),
        ([{"video": "videos/fast.mp4", "name": "a.true"}, {"video": "true/fast.mp4", "name": "a"}], "nearly so"),
        ([{"video": "videos/fast.mp4", "name": "../../a"}], r"entry 1: name: found '../../a'"),
        ([{"video": "videos/fast.mp4", "name": "a/b"}], "expected no path"),
        ([{"video": "videos/fast.mp4", "name": "a\\b"}], "expected no path"),
        ([{"video": "videos/fast.mp4", "name": " "}], "name: found ' '"),
        ([{"video": "videos/fast.mp4", "name": "a\nb"}], "expected the name of a video"),
        ([{"video": "videos/fast.mp4", "name": "ä" * 80}], "up to 150 letters"),
        ([{"video": "videos/fast.mp4", "seed": "../x"}], "seed: found '../x', expected a whole number"),
        ([{"video": "videos/fast.mp4", "seed": 1.5}], "seed: found 1.5"),
        ([{"video": "videos/fast.mp4", "prompt": 3}], "prompt: found 3, expected text"),
        ([{"video": "videos/fast.mp4", "category": ["pan"]}], "category: found"),
    ],
)
def test_what_is_wrong_with_a_manifest(videos, entries, message):
    (videos / "list.json").write_text(json.dumps(entries))
    with pytest.raises((FileFormatError, InputError), match=message):
        collect(videos / "list.json")


def test_what_cannot_be_collected(videos, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(FileFormatError, match="no such file or folder"):
        collect(tmp_path / "gone")
    with pytest.raises(InputError, match="found no video"):
        collect(tmp_path / "empty")
    with pytest.raises(FileFormatError, match="not a video motionloom knows"):
        collect(tmp_path / "notes.txt")
    with pytest.raises(InputError, match="expected a folder of files"):
        collect(videos / "videos", motion=videos / "motions" / "fast.npz")
    (tmp_path / "empty" / "other.npz").write_bytes(b"")
    with pytest.raises(InputError, match=r"none of its files is called as a video .* expected fast.\* as the motion"):
        collect(videos / "videos", motion=tmp_path / "empty")
    with pytest.raises(InputError, match="--prompt: is for a single video"):
        collect(videos / "videos", prompt="x")


def test_a_motion_that_is_edited_is_compared_by_time(videos):
    motion = Motion.parse(
        {
            "format": "motionloom.motion", "version": 1, "canvas": {"width": 96, "height": 64},
            "num_frames": 5, "fps": 8.0,
            "instructions": [{"kind": "path", "points": [[30, 30], [42, 30]]}],
        },
        source="test",
    )  # fmt: skip
    motion.save(videos / "slide.motion.json")
    (sample,) = collect(videos / "videos" / "fast.mp4", motion=videos / "slide.motion.json")
    assert not sample.by_frame
    assert isinstance(sample.motion, Motion)
    assert np.asarray(sample.motion.compile().points).shape[1] == 1
