"""ATI files against the published program's own numbers."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file

from motionloom.errors import FileFormatError, InputError
from motionloom.tracks.formats import detect, read_tracks, reference_frames, write_tracks
from motionloom.tracks.formats.source import npz_bytes
from motionloom.tracks.tracks import Tracks

GOLDEN = Path(__file__).parents[2] / "golden" / "ati"


def parameters(file):
    with safe_open(file, "numpy") as tensors:
        return json.loads(tensors.metadata()["params"])


def program_values(tracks):
    """x, y and visibility in the published program's units: short edge 2, centred; visibility -1 or 1."""
    size = np.array([tracks.width, tracks.height], np.float32)
    points = (tracks.points - size / 2) * 2 / size.min()
    return np.concatenate([points, tracks.visible[..., None] * 2.0 - 1.0], axis=-1)


def torch_file(path, array, key="array"):
    torch.save(npz_bytes({key: array}, compress=True), path)
    return path


@pytest.mark.parametrize("name", ["f32_deflate", "f32_stored", "u16_deflate"])
def test_published_containers(name):
    expected = load_file(GOLDEN / f"container_{name}.safetensors")
    file = GOLDEN / f"container_{name}.pth"
    tracks = read_tracks(file, size=(480, 640))
    assert (tracks.num_frames, tracks.num_tracks, tracks.fps, tracks.size) == (121, 3, 24.0, (480, 640))
    stored = expected["quantised"][:, :, 0].transpose(1, 0, 2) / 8
    np.testing.assert_array_equal(tracks.points, stored[..., :2])
    np.testing.assert_array_equal(tracks.visible, stored[..., 2] == 1)
    chosen = read_tracks(file, size=(480, 640), ati_reference_frames=True)
    assert (chosen.num_frames, chosen.fps) == (81, 16.0)
    np.testing.assert_allclose(program_values(chosen), expected["processed"][..., 1:], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["tracks_00", "tracks_01", "tracks_02", "tracks_03"])
def test_published_processing(name, tmp_path):
    file = GOLDEN / f"{name}.safetensors"
    expected, said = load_file(file), parameters(file)
    written = torch_file(tmp_path / "a.pth", expected["quantised"])
    options = {"size": (said["height"], said["width"]), "scale": said["quant_multi"], "ati_reference_frames": True}
    tracks = read_tracks(written, **options)
    np.testing.assert_allclose(program_values(tracks), expected["processed"][..., 1:], rtol=0, atol=1e-6)


def test_reference_frames_are_floor_of_three_halves():
    points = np.arange(121, dtype=np.float32)[:, None, None] * np.ones((1, 1, 2), np.float32)
    chosen = reference_frames(Tracks(points, np.ones((121, 1), bool), (9, 9), 24))
    assert chosen.points[:6, 0, 0].tolist() == [0, 1, 3, 4, 6, 7]
    assert chosen.points[-2:, 0, 0].tolist() == [118, 120]
    with pytest.raises(InputError, match="found 81 frames"):
        reference_frames(chosen)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(0, 3),
    dtype=st.sampled_from(["float32", "uint16"]),
    frames_first=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_round_trip(count, dtype, frames_first, seed, tmp_path):
    draw = np.random.default_rng(seed)
    points = np.round(draw.uniform(0 if dtype == "uint16" else -900, 900, (121, count, 2)) * 8) / 8
    tracks = Tracks(points, draw.random((121, count)) < 0.7, (300, 400), 24)
    layout = "frames-first" if frames_first else "tracks-first"
    file = write_tracks(tracks, tmp_path / "a.pth", dtype=dtype, layout=layout, compress=frames_first)[0]
    read = read_tracks(file, size=(300, 400))
    np.testing.assert_array_equal(read.visible, tracks.visible)
    np.testing.assert_array_equal(read.points, np.where(tracks.visible[..., None], tracks.points, 0))


def test_written_file_is_what_the_program_loads(tmp_path):
    tracks = Tracks(np.full((121, 2, 2), 3.5), np.ones((121, 2), bool), (300, 400), 24)
    file = write_tracks(tracks, tmp_path / "a.pth")[0]
    content = torch.load(file, weights_only=True)
    assert isinstance(content, bytes)
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        array = archive["array"]
    assert (array.shape, array.dtype) == ((2, 121, 1, 3), np.float32)
    assert array[0, 0, 0].tolist() == [28.0, 28.0, 8.0]


def test_sixteen_fps_motion_is_written_at_its_own_speed(tmp_path):
    line = (np.arange(81) * 2.0)[:, None, None] * np.array([1.0, 0.5])
    tracks = Tracks(line, np.ones((81, 1), bool), (300, 400), 16)
    file = write_tracks(tracks, tmp_path / "a.pth")[0]
    read = read_tracks(file, size=(300, 400))
    np.testing.assert_allclose(read.points[:, 0, 0], np.arange(121) * 2 * 16 / 24, atol=1e-4)
    assert read.duration == pytest.approx(tracks.duration)
    back = read.resample(fps=16)
    np.testing.assert_allclose(back.points, tracks.points, atol=1e-4)


def test_short_motion_holds_or_vanishes_and_stretches_on_request(tmp_path):
    line = (np.arange(25) * 4.0)[:, None, None] * np.ones((1, 1, 2))
    tracks = Tracks(line, np.ones((25, 1), bool), (300, 400), 24)
    held = read_tracks(write_tracks(tracks, tmp_path / "a.pth")[0], size=(300, 400))
    assert held.visible.all()
    assert held.points[-1, 0, 0] == 96.0
    gone = read_tracks(write_tracks(tracks, tmp_path / "b.pth", after="vanish")[0], size=(300, 400))
    assert gone.visible[:, 0].sum() == 25
    stretched = read_tracks(write_tracks(tracks, tmp_path / "c.pth", timing="stretch")[0], size=(300, 400))
    np.testing.assert_allclose(stretched.points[:, 0, 0], np.linspace(0, 96, 121), atol=1e-4)


@pytest.mark.parametrize("value", [-0.2, 8192.0])
def test_uint16_refuses_what_it_cannot_hold(value, tmp_path):
    tracks = Tracks(np.full((121, 1, 2), value), np.ones((121, 1), bool), (300, 400), 24)
    with pytest.raises(InputError, match="dtype='float32'"):
        write_tracks(tracks, tmp_path / "a.pth", dtype="uint16")


@pytest.mark.parametrize("shape", [(3, 242, 1, 3), (3, 81, 1, 3), (3, 121, 3), (3, 121, 1, 2)])
def test_other_shapes_are_refused(shape, tmp_path):
    with pytest.raises(FileFormatError, match="expected numbers"):
        read_tracks(torch_file(tmp_path / "a.pth", np.ones(shape, np.float32)), size=(9, 9))


def test_fourth_channel_is_ignored_and_square_arrays_are_tracks_first(tmp_path):
    array = np.zeros((121, 121, 1, 4), np.float32)
    array[5, :, 0, 0] = 8.0
    tracks = read_tracks(torch_file(tmp_path / "a.pth", array), size=(9, 9))
    assert tracks.points[:, 5, 0].tolist() == [1.0] * 121


def test_older_torch_layout(tmp_path):
    content = npz_bytes({"array": np.full((1, 121, 1, 3), 8, np.float32)}, compress=False)
    file = tmp_path / "a.pth"
    torch.save(content, file, _use_new_zipfile_serialization=False)
    assert detect(file).reason.endswith("older layout")
    assert read_tracks(file, size=(9, 9)).points.max() == 1.0


@pytest.mark.parametrize(
    ("content", "message"),
    [({"a": 1}, "holds a dict"), (torch.zeros(3), "_rebuild_tensor"), (b"no zip", "damaged zip")],
)
def test_other_torch_files_are_refused(content, message, tmp_path):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(FileFormatError, match=message):
        read_tracks(tmp_path / "a.pth", size=(9, 9))


def test_wrong_key_is_named(tmp_path):
    with pytest.raises(FileFormatError, match=r"\['tracks'\], expected 'array'"):
        read_tracks(torch_file(tmp_path / "a.pth", np.ones((1, 121, 1, 3)), key="tracks"), size=(9, 9))
