import json

import pytest

from motionloom.batch_file import is_batch, read_batch
from motionloom.errors import FileFormatError


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_list_as_the_published_programs_write_it(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "bear.jpg").touch()
    text = "- image: images/bear.jpg\n  text: null\n  track: tracks/bear.pth\n"
    text += "- image: images/bear.jpg\n  text: '  a bear walks '\n  track: tracks/bear.pth\n  seed: 4\n"
    first, second = read_batch(write(tmp_path / "test.yaml", text))
    assert first.image == tmp_path / "images" / "bear.jpg"
    assert first.motion == tmp_path / "tracks" / "bear.pth"
    assert dict(first.options) == {}
    assert dict(second.options) == {"prompt": "a bear walks", "seed": 4}
    assert [first.name, second.name] == ["bear-bear", "bear-bear-2"]


def test_every_option_as_its_type(tmp_path):
    entry = {
        "image": "a.jpg", "motion": "a.motion.json", "name": "../wild name/!", "model": "warp", "last_image": "b.jpg",
        "prompt": "p", "negative_prompt": "n", "seed": -1, "size": "640x480", "frames": 17, "fps": 8, "steps": 5,
        "guidance_scale": 3, "strength": 0.5, "window": [0.1, 0.9], "method": "ati", "densify": False,
    }  # fmt: skip
    (item,) = read_batch(write(tmp_path / "jobs.jsonl", json.dumps(entry) + "\n\n"))
    assert item.name == "wild_name"
    assert (item.model, item.last_image) == ("warp", tmp_path / "b.jpg")
    assert dict(item.options) == {
        "prompt": "p", "negative_prompt": "n", "seed": -1, "size": (480, 640), "num_frames": 17, "fps": 8.0,
        "num_inference_steps": 5, "guidance_scale": 3.0, "strength": 0.5, "window": (0.1, 0.9), "method": "ati",
        "densify": False,
    }  # fmt: skip


def test_paths_are_of_the_file_first_and_of_the_working_directory_then(tmp_path, monkeypatch):
    (tmp_path / "lists").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").touch()
    path = write(tmp_path / "lists" / "jobs.yaml", "- {image: a.jpg, motion: m.json}\n")
    assert read_batch(path)[0].image.resolve() == tmp_path / "a.jpg"
    (tmp_path / "lists" / "a.jpg").touch()
    assert read_batch(path)[0].image == tmp_path / "lists" / "a.jpg"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no item|NoneType"),
        ("image: a.jpg", "expected a list"),
        ("- a.jpg", "item 1 is a str"),
        ("- {image: a.jpg}", "item 1: motion is missing"),
        ("- {image: a.jpg, motion: m, colour: red}", "unknown key 'colour'"),
        ("- {image: a.jpg, motion: m, track: n}", "'track' says again"),
        ("- {image: a.jpg, motion: m, seed: x}", "item 1: seed is 'x'"),
        ("- {image: a.jpg, motion: m, seed: 1.5}", "whole number"),
        ("- {image: a.jpg, motion: m, size: 5}", "size is 5"),
        ("- {image: a.jpg, motion: m, frames: true}", "expected a number"),
        ("- {image: a.jpg, motion: m, strength: .inf}", "finite"),
        ("- {image: a.jpg, motion: m}\n- {image: 3, motion: m}", "item 2: image"),
        ("- &a {image: a.jpg, motion: m}\n- *a", "aliases"),
        ("- [unclosed", "not YAML"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, text, words):
    with pytest.raises(FileFormatError, match=words) as caught:
        read_batch(write(tmp_path / "jobs.yaml", text))
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "jobs.yaml") in str(caught.value)


def test_jsonl_names_the_line(tmp_path):
    with pytest.raises(FileFormatError, match="line 2 is not JSON"):
        read_batch(write(tmp_path / "jobs.jsonl", '{"image": "a", "motion": "b"}\n{oops\n'))
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileFormatError, match="UTF-8"):
        read_batch(tmp_path / "bytes.yaml")
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_batch(tmp_path / "none.yaml")


def test_which_files_are_batches(tmp_path):
    assert [is_batch(tmp_path / name) for name in ("a.yaml", "a.YML", "a.jsonl", "a.json", "a.jpg")] == [
        True, True, True, False, False,
    ]  # fmt: skip
