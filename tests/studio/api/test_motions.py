from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np

from motionloom.tracks.formats import read_tracks
from motionloom.tracks.motion import Motion

GOLDEN = Path(__file__).parents[2] / "golden" / "ati" / "container_f32_deflate.pth"


def test_formats_are_listed_with_what_they_take(client):
    formats = {each["name"]: each for each in client.get("formats").json()}
    assert formats["ati"]["suffixes"] == [".pth"]
    assert formats["ati"]["options"]["after"].startswith("what a shorter motion does")
    assert formats["clip"]["readable"]
    assert "ati-list" not in formats


def test_an_old_ati_file_is_dropped_asked_about_saved_and_exported_as_it_was(client, project, tmp_path):
    files = [("files", ("a.pth", GOLDEN.read_bytes()))]
    form = {"width": 64, "height": 48}
    unclear = client.post("imports", files=files, data=form)
    assert unclear.status_code == 422
    assert unclear.json()["error"]["code"] == "ambiguous"
    assert unclear.json()["error"]["details"] == {"needs": "size", "suggested": {"width": 64, "height": 48}}
    assert unclear.json()["error"]["message"].startswith("a.pth: does not say which picture size")
    answer = client.post("imports", files=files, data={**form, "file_width": 832, "file_height": 480})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["format"], found["num_tracks"]) == ("ati", 3)
    saved = client.put(
        f"projects/{project['id']}",
        json={"base_version": project["version"], "motion": found["motion"], "settings": project["settings"]},
    )
    assert saved.status_code == 200, saved.text
    file = client.get(f"projects/{project['id']}/export", params={"format": "ati", "width": 832, "height": 480})
    assert file.status_code == 200, file.text
    assert file.headers["content-disposition"].startswith('attachment; filename="cat.pth"')
    (tmp_path / "back.pth").write_bytes(file.content)
    ours, theirs = read_tracks(tmp_path / "back.pth", size=(480, 832)), read_tracks(GOLDEN, size=(480, 832))
    # Hidden places mean nothing, and what is seen twice is two tracks.
    for frame in range(theirs.num_frames):
        found = ours.points[frame][ours.visible[frame]]
        wanted = theirs.points[frame][theirs.visible[frame]]
        assert len(found) == len(wanted)
        apart = np.abs(found[:, None] - wanted[None]).max(axis=-1)
        # A thousandth of a pixel of the canvas it was drawn on, a thirteenth as wide.
        assert not len(wanted) or apart.min(axis=0).max() < 13e-3


def test_exports_of_several_files_are_archives_and_options_are_told(client, project):
    motion = {**project["motion"], "instructions": [{"kind": "path", "points": [[5, 5], [50, 30]]}]}
    client.put(f"projects/{project['id']}", json={"base_version": 1, "motion": motion, "settings": project["settings"]})
    file = client.get(f"projects/{project['id']}/export", params={"format": "wan-move"})
    assert file.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
        assert len(archive.namelist()) == 2
    document = client.get(f"projects/{project['id']}/export")
    assert Motion.parse(document.json()).instructions[0].points[1].x == 50
    wrong = client.get(f"projects/{project['id']}/export", params={"format": "tora", "option": "colour=red"})
    assert wrong.status_code == 400
    assert "colour: " in wrong.json()["error"]["message"]
    assert client.get(f"projects/{project['id']}/export", params={"option": "x"}).status_code == 400
    assert client.get(f"projects/{project['id']}/export", params={"width": 3}).status_code == 400
    assert client.get("projects/0123456789abcdef/export").status_code == 404


def test_what_is_no_motion_is_refused_without_a_word_about_the_server(client):
    cases = {"photo.png": b"\x89PNG\r\n", "a.svg": b"<svg/>", "x.json": b"[1, 2", "y.npy": b"\x93NUMPY", "a": b"<html>"}
    for name, content in cases.items():
        answer = client.post("imports", files=[("files", (name, content))], data={"width": 64, "height": 48})
        assert answer.status_code in (400, 415), name
        message = answer.json()["error"]["message"]
        assert name in message
        assert "/tmp" not in message
        assert "import-" not in message
    one = client.post("imports", files=[("files", ("a.json", b"{}"))], data={"width": 64})
    assert "height" in one.json()["error"]["message"]


def test_a_motion_with_its_mask_in_one_drop(client):
    from PIL import Image

    stream = io.BytesIO()
    Image.new("L", (8, 8), 255).save(stream, format="PNG")
    document = {
        "format": "motionloom.motion",
        "version": 1,
        "canvas": {"width": 64, "height": 48},
        "num_frames": 9,
        "fps": 8,
        "instructions": [{"kind": "region", "mask": "m.png"}],
    }
    files = [("files", ("m.png", stream.getvalue())), ("files", ("a.motion.json", json.dumps(document).encode()))]
    answer = client.post("imports", files=files, data={"width": 64, "height": 48})
    assert answer.status_code == 200, answer.text
    assert answer.json()["motion"]["instructions"][0]["mask"].startswith("data:image/png;base64,")


def test_exports_make_no_more_frames_than_a_project_has(client, project):
    for wanted in ({"num_frames": 2_001}, {"fps": 1_000}):
        answer = client.get(f"projects/{project['id']}/export", params={"format": "kj-points", **wanted})
        assert answer.status_code == 400, wanted
        assert "expected at most 2000" in answer.json()["error"]["message"]
