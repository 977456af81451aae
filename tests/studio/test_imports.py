from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from motionloom.errors import FileFormatError, MotionloomError
from motionloom.studio import imports
from motionloom.studio.exports import export, track_formats
from motionloom.studio.imports import Upload, Wanted, import_files
from motionloom.studio.problems import Refused
from motionloom.tracks.formats import list_formats, read_tracks
from motionloom.tracks.motion import Motion
from motionloom.tracks.tracks import Tracks

GOLDEN = Path(__file__).parents[1] / "golden"
SIZE = (480, 832)


def npy(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def imported(files, **wanted):
    answer = import_files(
        [Upload(name, content) for name, content in files.items()], Wanted(**{"size": SIZE, **wanted})
    )
    return answer, Motion.parse(answer.motion)


def same_points(motion: Motion, tracks: Tracks) -> float:
    """Pixels between what is visible, frame by frame, in any order."""
    compiled, worst = motion.compile(), 0.0
    assert compiled.num_frames == tracks.num_frames
    for frame in range(tracks.num_frames):
        ours, theirs = compiled.points[frame][compiled.visible[frame]], tracks.points[frame][tracks.visible[frame]]
        assert len(ours) == len(theirs)
        if len(ours):
            apart = np.abs(ours[:, None].astype(float) - theirs[None]).max(axis=-1)
            worst = max(worst, apart.min(axis=0).max(), apart.min(axis=1).max())
    return worst


# --------------------------------------------------------------------------------------------- files of the programs
@pytest.mark.parametrize("name", ["container_f32_deflate", "container_f32_stored", "container_u16_deflate"])
def test_a_published_ati_file_is_drawn_to_a_thousandth_of_a_pixel_and_written_back(name, tmp_path):
    path = GOLDEN / "ati" / f"{name}.pth"
    tracks = read_tracks(path, size=SIZE)
    answer, motion = imported({"old editor.pth": path.read_bytes()}, file_size=SIZE)
    assert (answer.format, answer.num_tracks) == ("ati", tracks.num_tracks)
    assert (motion.num_frames, motion.fps) == (121, 24.0)
    assert same_points(motion, tracks) < 1e-3
    back = export(motion, "ati", name="Olde Editör")
    assert back.name == "Olde-Editör.pth"
    (tmp_path / "back.pth").write_bytes(back.content)
    assert same_points(motion, read_tracks(tmp_path / "back.pth", size=SIZE)) < 1e-3


@pytest.mark.parametrize("number", [0, 3, 6, 8])
def test_tracks_of_the_wan_move_program_and_back(number):
    golden = load_file(GOLDEN / "wan-move" / "track_pos.safetensors")
    points, visible = golden[f"p{number}.tracks"].astype(np.float32), golden[f"p{number}.visibility"].astype(bool)
    tracks = Tracks(np.nan_to_num(points), visible & np.isfinite(points).all(-1), SIZE, 16.0)
    files = {
        "car_visibility.npy": npy(tracks.visible[None]),
        "car_tracks.npy": npy(tracks.points[None]),
    }
    answer, motion = imported(files, file_size=SIZE, units="pixels")
    assert answer.format == "wan-move"
    assert same_points(motion, tracks) < 1e-3
    archive = export(motion, "wan-move", name="car")
    with zipfile.ZipFile(io.BytesIO(archive.content)) as found:
        assert sorted(found.namelist()) == ["car_tracks.npy", "car_visibility.npy"]
    # The archive itself can be dropped again.
    _, again = imported({archive.name: archive.content}, file_size=SIZE, units="pixels")
    assert same_points(again, tracks) < 1e-3


def test_splines_of_kjnodes_need_a_size_and_frames_and_are_followed():
    store = json.dumps([{"points": [{"x": 10, "y": 20}, {"x": 200, "y": 120}, {"x": 400, "y": 60}], "name": "a"}])
    with pytest.raises(Refused) as caught:
        imported({"store.json": store.encode()})
    assert (caught.value.code, caught.value.details["needs"]) == ("ambiguous", "size")
    assert caught.value.details["suggested"] == {"width": 832, "height": 480}
    with pytest.raises(Refused) as caught:
        imported({"store.json": store.encode()}, file_size=SIZE, file_fps=16)
    assert caught.value.details["needs"] == "num_frames"
    answer, motion = imported({"store.json": store.encode()}, file_size=SIZE, num_frames=33, fps=16)
    assert (answer.format, motion.num_frames) == ("kj-points", 33)
    assert "frame rate" in answer.notes[0]
    points = motion.compile().points[:, 0]
    assert points[[0, -1]].tolist() == [[10, 20], [400, 60]]
    speed = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert speed.std() / speed.mean() < 0.02


def test_coordinates_of_kjnodes_come_back_as_they_were(tmp_path):
    way = [{"x": 10 + 3 * k, "y": 20 + k * k} for k in range(20)]
    _, motion = imported({"coords.json": json.dumps([way]).encode()}, file_size=SIZE, file_fps=16)
    text = json.loads(export(motion, "kj-coordinates").content)
    assert text == [way]


def round_trips():
    return [each.name for each in list_formats() if each.read and each.write and each.name != "motion"]


@pytest.mark.parametrize("name", round_trips())
def test_every_format_that_is_written_is_read_again(name):
    motion = Motion.parse(
        {
            "format": "motionloom.motion",
            "version": 1,
            "canvas": {"width": 512, "height": 512},
            "num_frames": 49,
            "fps": 16,
            "instructions": [
                {"kind": "path", "points": [[100, 60], [200, 300], [260, 240]]},
                {"kind": "static", "points": [[30, 40], [420, 400]]},
            ],
        }
    )
    options = {"hidden": "keep"} if name == "anyi2v" else {"timing": "stretch"} if name == "ati" else {}
    file = export(motion, name, name="a b/../c", options=options)
    assert "/" not in file.name
    assert " " not in file.name
    wanted = {"file_size": (512, 512), "size": (512, 512)}
    if name in ("kj-points", "kj-coordinates", "trajectory-config"):
        wanted |= {"fps": 16.0, "num_frames": 49}
    _, back = imported({file.name: file.content}, **wanted)
    expected = motion.compile().resample(121) if name == "ati" else motion.compile()
    rounding = {"kj-coordinates": 1.0, "kj-points": 2.0, "tora": 3.0, "anyi2v": 2.0, "trajectory-config": 2.0}
    found = back.compile(num_frames=expected.num_frames)
    for track in range(expected.num_tracks):
        apart = np.abs(found.points - expected.points[:, track : track + 1]).max(axis=(0, 2))
        assert apart.min() < rounding.get(name, 2e-3), f"track {track}"


# ------------------------------------------------------------------------------------------------ motions and clips
def test_a_motion_comes_with_its_masks_and_is_one_document_afterwards():
    mask = Image.new("L", (64, 48))
    mask.paste(255, (10, 10, 40, 30))
    stream = io.BytesIO()
    mask.save(stream, format="PNG")
    document = {
        "format": "motionloom.motion",
        "version": 1,
        "canvas": {"width": 416, "height": 240},
        "num_frames": 17,
        "fps": 8,
        "instructions": [{"kind": "region", "mask": "masks/thing.png", "path": {"points": [[0, 0], [40, 20]]}}],
    }
    with pytest.raises(Refused, match=r"names thing\.png, which did not come with it"):
        imported({"a.motion.json": json.dumps(document).encode()})
    answer, motion = imported({"a.motion.json": json.dumps(document).encode(), "thing.png": stream.getvalue()})
    assert motion.size == SIZE
    assert answer.num_tracks == motion.compile().num_tracks > 0
    assert answer.motion["instructions"][0]["mask"].startswith("data:image/png;base64,")
    assert answer.notes == ["drawn on 416x240, scaled to 832x480"]


def test_a_clip_that_motionloom_made_brings_its_motion(tmp_path):
    import motionloom as ml

    motion = Motion.parse(
        {
            "format": "motionloom.motion",
            "version": 1,
            "canvas": {"width": 64, "height": 48},
            "num_frames": 5,
            "fps": 8,
            "instructions": [{"kind": "path", "points": [[10, 10], [40, 30]], "name": "leaf"}],
        }
    )
    picture = np.full((48, 64, 3), 90, np.uint8)
    clip = ml.load("warp").generate(picture, motion)
    for ending in (".mp4", ".webp", ".gif"):
        made = clip.save(tmp_path / f"clip{ending}")
        answer, found = imported({f"holiday{ending}": made.read_bytes()}, size=(48, 64))
        assert (answer.format, found.instructions[0].name) == ("clip", "leaf")
        assert found == motion
    for motion_inside in ({"record": {"kind": "motion"}}, {"record": 3}, {"name": "x"}, {"record": {"kind": "tracks"}}):
        odd = ml.Clip(clip.frames, 8.0, {"motion": motion_inside}).save(tmp_path / "odd.mp4")
        with pytest.raises(FileFormatError):
            imported({"odd.mp4": odd.read_bytes()})
    plain = ml.Clip(clip.frames, 8.0).save(tmp_path / "other.mp4")
    with pytest.raises(Refused, match=r"holiday\.mp4: holds no motion") as caught:
        imported({"holiday.mp4": plain.read_bytes()})
    assert caught.value.code == "unsupported"


# --------------------------------------------------------------------------------------------------- hostile content
def test_a_job_list_that_names_files_of_the_server_is_refused(tmp_path):
    secret = tmp_path / "secret_tracks.npy"
    np.save(secret, np.zeros((3, 1, 2), np.float32))
    listed = f"- image: {secret}\n  text: hello\n  track: {secret}\n"
    for name in ("list.yaml", "list"):
        with pytest.raises(Refused, match="names other files"):
            imported({name: listed.encode()}, file_size=SIZE)
    with pytest.raises(Refused, match="names other files"):
        imported({"list.yaml": listed.encode()}, format="ati-list")


def test_names_are_never_paths_and_messages_never_tell_where_files_lay(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", None)
    for name in ("../../escape.npy", "/etc/passwd.npy", "C:\\boot\\a.npy", "a\0b.npy", "\u202egnp.npy", "." * 300):
        with pytest.raises(MotionloomError) as caught:
            imported({name: b"nothing that is read"})
        assert str(tmp_path) not in str(caught.value)
        assert "motionloom-import" not in str(caught.value)
        assert "file0" not in str(caught.value)
    assert list(tmp_path.rglob("*")) == []


class Runs:
    def __reduce__(self):
        return (os.mkdir, ("/tmp/motionloom-must-not-exist",))


def test_pickles_run_nothing():
    for name in ("a.pkl", "a.pth", "a"):
        with pytest.raises(FileFormatError):
            imported({name: pickle.dumps(Runs(), protocol=2)}, file_size=SIZE)
    assert not Path("/tmp/motionloom-must-not-exist").exists()


def test_archives_that_blow_up_are_refused():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.npy", bytes(200 << 20))
    with pytest.raises(FileFormatError, match=r"bomb\.zip: zip member .* refused as unsafe"):
        imported({"bomb.zip": stream.getvalue()})
    with pytest.raises(FileFormatError):
        imported({"bomb.npz": stream.getvalue()}, file_size=SIZE)


def test_messages_are_about_the_page_not_the_command_line():
    near = npy(np.random.default_rng(0).random((9, 2, 2)).astype(np.float32))
    with pytest.raises(Refused) as caught:
        imported({"near.npy": near})
    assert caught.value.details["needs"] == "units"
    assert str(caught.value).startswith("near.npy: all positions are near zero")
    assert "--" not in str(caught.value)
    with pytest.raises(Refused, match="found none"):
        imported({})
    with pytest.raises(Refused, match=r"empty\.npy: the file is empty"):
        imported({"empty.npy": b""})


def test_formats_for_the_page_name_no_files_of_the_server():
    formats = {each.name: each for each in track_formats()}
    assert "ati-list" not in formats
    assert formats["motion"].writable
    assert not formats["realestate10k"].writable
    assert formats["tora"].options["outside"].startswith("points that leave the image")
    assert all(text for each in formats.values() for text in each.options.values())


# ----------------------------------------------------------------------------------------------------------- bounds
def archive(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return stream.getvalue()


def test_archives_are_bounded_together_not_one_by_one(monkeypatch):
    monkeypatch.setattr(imports, "MAX_UNPACKED", 10_000)
    one = archive(a=os.urandom(4_000))
    with pytest.raises(Refused, match=r"third.zip: holds 4000 bytes, expected at most 0 MiB in all archives") as caught:
        imported({"first.zip": one, "second.zip": one, "third.zip": one})
    assert caught.value.code == "too_large"
    monkeypatch.setattr(imports, "MAX_FILES", 5)
    many = archive(**{f"a{number}": b"x" for number in range(3)})
    with pytest.raises(Refused, match=r"two.zip: found 3 files, expected 5 in all at most"):
        imported({"one.zip": many, "two.zip": many})


def test_a_motion_longer_than_a_project_takes_is_told_before_it_is_drawn():
    long = {
        "format": "motionloom.motion",
        "version": 1,
        "canvas": {"width": 832, "height": 480},
        "num_frames": 5_000,
        "fps": 100,
        "instructions": [{"kind": "path", "points": [[0, 0], [9, 9]]}],
    }
    with pytest.raises(Refused, match="has 5000 frames, expected at most 2000") as caught:
        imported({"a.motion.json": json.dumps(long).encode()})
    assert caught.value.code == "too_large"
    _, motion = imported({"a.motion.json": json.dumps(long).encode()}, fps=10)
    assert motion.num_frames == 501
