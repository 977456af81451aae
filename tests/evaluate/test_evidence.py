import numpy as np
import pytest
from slides import FPS, SIZE, sliding, sliding_tracks

from motionloom.errors import CheckpointError, FileFormatError, InputError
from motionloom.evaluate.evidence import Evidence, Tools
from motionloom.evaluate.sample import Sample
from motionloom.media import Clip
from motionloom.tracks.tracks import Tracks


def evidence(clip: Clip, **known) -> Evidence:
    return Evidence(Sample("a", clip, **known), Tools())


def test_tracks_by_time_and_by_frame(picture):
    clip = Clip(sliding(picture, 3), FPS)
    late = Tracks(sliding_tracks(3).points, sliding_tracks(3).visible, SIZE, 2 * FPS)
    by_time = evidence(clip, motion=late).wanted  # twice as fast, and held at its end
    assert by_time.points[:, 0, 0].tolist() == [30, 36, 42, 42, 42]
    by_frame = evidence(clip, motion=late, by_frame=True).wanted
    assert by_frame.points[:, 0, 0].tolist() == [30, 33, 36, 39, 42]
    with pytest.raises(InputError, match="found 4 frames, expected 5"):
        _ = evidence(clip, motion=sliding_tracks(3, 4), by_frame=True).wanted


def test_only_tracks_that_begin_inside_and_visible_are_wanted(picture):
    tracks = sliding_tracks(3)
    points, visible = tracks.points.copy(), tracks.visible.copy()
    points[0, 0] = (-5, 3)
    visible[0, 1] = False
    found = evidence(Clip(sliding(picture, 3), FPS), motion=Tracks(points, visible, SIZE, FPS)).wanted
    assert np.array_equal(found.points, points[:, 2:])


def test_wanted_points_are_hidden_where_they_are_outside(picture):
    tracks = sliding_tracks(20)  # at 30, 40 and 50 of 96 px: outside from the fourth, third and third step on
    found = evidence(Clip(sliding(picture, 20), FPS), motion=tracks).wanted
    assert np.array_equal(found.points, tracks.points)
    assert found.visible.sum(0).tolist() == [4, 3, 3]


def test_a_reference_of_another_size_is_resized_and_another_length_refused(picture):
    clip, true = Clip(sliding(picture, 3), FPS), Clip(np.repeat(sliding(picture, 3), 2, axis=1), FPS)
    (start, made, real), *rest = evidence(clip, reference=true).pairs()
    assert (start, rest, made.shape, real.shape) == (0, [], clip.frames.shape, clip.frames.shape)
    assert np.abs(real[:, 2:-2].astype(int) - made[:, 2:-2]).mean() < 8
    with pytest.raises(InputError, match="reference: found 4 frames, expected 5"):
        next(evidence(clip, reference=Clip(sliding(picture, 3, 4), FPS)).pairs())
    with pytest.raises(InputError, match="none is known"):
        next(evidence(clip).pairs())


def test_flows_are_those_of_neighbours_both_ways(picture):
    clip = Clip(sliding(picture, 3), FPS)
    flows = list(evidence(clip).flows())
    assert [t for t, _, _ in flows] == [0, 1, 2, 3]
    for _, there, back in flows:
        assert np.median(there[8:-8, 12:-12, 0]) == pytest.approx(3, abs=0.2)
        assert np.median(back[8:-8, 12:-12, 0]) == pytest.approx(-3, abs=0.2)
    assert list(evidence(Clip(clip.frames[:1], FPS)).flows()) == []


def test_masks_from_an_array_a_file_and_pictures(picture, tmp_path):
    from motionloom.media import write_image

    clip = Clip(sliding(picture, 3), FPS)
    masks = np.zeros((5, *SIZE), bool)
    masks[:, 10:20, 30:50] = True
    np.save(tmp_path / "masks.npy", masks)
    for index, mask in enumerate(masks):
        write_image(tmp_path / "masks" / f"{index:03}.png", np.repeat(mask[..., None] * np.uint8(255), 3, -1))
    for source in (masks, tmp_path / "masks.npy", tmp_path / "masks", np.repeat(masks, 2, axis=2)):
        assert np.array_equal(evidence(clip, masks=source).masks, masks)
    with pytest.raises(InputError, match="expected \\[5, H, W\\]"):
        _ = evidence(clip, masks=masks[:3]).masks
    for index, mask in enumerate(masks):  # labels from one
        write_image(tmp_path / "labels" / f"{index:03}.png", np.repeat(mask[..., None] * np.uint8(2), 3, -1))
    assert np.array_equal(evidence(clip, masks=tmp_path / "labels").masks, masks)
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(FileFormatError, match="not readable as masks"):
        _ = evidence(clip, masks=tmp_path / "objects.npy").masks
    (tmp_path / "empty.npy").write_bytes(b"")
    with pytest.raises(FileFormatError, match="not readable as masks"):
        _ = evidence(clip, masks=tmp_path / "empty.npy").masks
    np.savez(tmp_path / "many.npz", a=masks, b=masks)
    with pytest.raises(FileFormatError, match="found several arrays"):
        _ = evidence(clip, masks=tmp_path / "many.npz").masks
    np.save(tmp_path / "words.npy", np.array(["a"]))
    with pytest.raises(FileFormatError, match="found <U1"):
        _ = evidence(clip, masks=tmp_path / "words.npy").masks
    write_image(tmp_path / "masks" / "002.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(FileFormatError, match="expected one size"):
        _ = evidence(clip, masks=tmp_path / "masks").masks


def test_networks_are_built_once(tmp_path, monkeypatch):
    (tmp_path / "w.pt").write_bytes(b"x")
    tools = Tools(weights={"i3d-tats": tmp_path / "w.pt"})
    built = []
    assert tools.network("i3d-tats", lambda path: built.append(path) or "net") == "net"
    assert tools.network("i3d-tats", lambda path: built.append(path) or "net") == "net"
    assert built == [tmp_path / "w.pt"]
    assert tools.used("i3d-tats").name == "i3d-tats"
    assert len(tools.used("i3d-tats").sha256) == 64


def test_a_download_that_failed_and_a_file_of_another_network_are_tried_once(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    tried = []

    def fetch(card):
        tried.append(card.name)
        raise CheckpointError(f"{card.name}: no connection")

    monkeypatch.setattr("motionloom.models.fetch.fetch", fetch)
    tools = Tools(allow_download=True)
    for _ in range(3):
        with pytest.raises(CheckpointError, match="no connection"):
            tools.path("dino-vitb16")
    assert tried == ["dino-vitb16"]
    assert tools.lacks("dino-vitb16")

    def build(path):
        tried.append(path.name)
        raise CheckpointError(f"{path}: other tensors")

    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "i3d_pretrained_400.pt").write_bytes(b"x")
    for _ in range(3):
        with pytest.raises(CheckpointError, match="other tensors"):
            tools.network("i3d-tats", build)
    assert tried == ["dino-vitb16", "i3d_pretrained_400.pt"]
