"""ATI's YAML list: paths, missing text, hostile YAML."""

import time

import numpy as np
import pytest
from PIL import Image

from motionloom.errors import FileFormatError
from motionloom.tracks.formats import AtiEntry, detect, read_ati_list, read_tracks, write_ati_list, write_tracks
from motionloom.tracks.tracks import Tracks


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    Image.new("RGB", (64, 48)).save(tmp_path / "sub" / "a.png")
    write_tracks(Tracks(np.full((121, 1, 2), 4.0), np.ones((121, 1), bool), (48, 64), 24), tmp_path / "sub" / "a.pth")
    return tmp_path


def test_entries_with_paths_beside_the_list(folder):
    file = folder / "list.yaml"
    entry = "- image: sub/a.png\n  text: {}\n  track: sub/a.pth\n"
    file.write_text(entry.format("' a cat '") + entry.format("null"))
    assert detect(file).format == "ati-list"
    first, second = read_ati_list(file)
    assert (first.text, second.text) == ("a cat", "")
    assert first.tracks().size == (48, 64)
    assert read_tracks(file, entry=1) == second.tracks()
    with pytest.raises(FileFormatError, match="list of 2 jobs"):
        read_tracks(file)


def test_working_directory_is_the_second_choice(folder, monkeypatch, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("other") / "list.yaml"
    elsewhere.write_text("- image: sub/a.png\n  track: sub/a.pth\n")
    with pytest.raises(FileFormatError, match=r"entry 0: image 'sub/a\.png' exists neither"):
        read_ati_list(elsewhere)
    monkeypatch.chdir(folder)
    assert read_ati_list(elsewhere)[0].image.resolve() == folder / "sub" / "a.png"


def test_round_trip(folder):
    entries = [AtiEntry(folder / "sub" / "a.png", "naïve: yes", folder / "sub" / "a.pth")]
    file = write_ati_list(entries, folder / "out.yaml")
    assert "image: sub/a.png" in file.read_text()
    assert read_ati_list(file) == entries


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- &a [x]\n- *a # track:", "aliases"),
        ("- !!python/object/apply:os.system ['true'] # track:", "not YAML"),
        ("- image: a\n  track: b\n  size: 3\n", "unknown field 'size'"),
        ("- image: 3\n  track: b\n", "image is missing"),
        ("- image: [\n# track:", "not YAML"),
        ("- " + "[" * 5000 + " # track:", "nested deeper|not YAML"),
        ("- [track:, 1]\n- 2", "found list|not YAML"),
        ("- image: a\n  text: 12\n  track: b\n", "text is a int"),
    ],
)
def test_hostile_or_wrong_lists(text, message, tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    start = time.perf_counter()
    with pytest.raises(FileFormatError, match=message):
        read_ati_list(file)
    assert time.perf_counter() - start < 2


def test_billion_laughs(tmp_path):
    levels = ["a0: &a0 [lol, lol]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    file = tmp_path / "a.yaml"
    file.write_text("- track: x\n- " + "\n  ".join(levels))
    with pytest.raises(FileFormatError, match="aliases"):
        read_ati_list(file)


def test_list_naming_itself(folder):
    file = folder / "a.yaml"
    file.write_text("- image: sub/a.png\n  track: a.yaml\n")
    with pytest.raises(FileFormatError, match="names the list itself"):
        read_tracks(file)
