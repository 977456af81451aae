import json

import av
import numpy as np
import pytest
from PIL import Image

from motionloom.errors import FileFormatError, InputError
from motionloom.media import Clip, read_provenance

PROVENANCE = {"seed": 7, "prompt": "a cat \u00e9 <b>&amp;</b>", "nested": {"list": [1, 2.5, None]}}


def moving(num_frames=9, height=36, width=48):
    """A smooth gradient with a square that moves two pixels per frame."""
    y, x = np.mgrid[0:height, 0:width]
    frames = np.empty((num_frames, height, width, 3), np.uint8)
    for t in range(num_frames):
        frames[t] = np.stack([x * 255 // width, y * 255 // height, np.full_like(x, 120)], -1)
        frames[t, 8:20, 4 + 2 * t : 16 + 2 * t] = (220, 40, 30)
    return frames


def psnr(a, b):
    error = np.mean((a.astype(float) - b.astype(float)) ** 2)
    return 10 * np.log10(255**2 / error) if error else np.inf


@pytest.mark.parametrize(
    ("name", "floor"), [("a.mp4", 30), ("a.webm", 28), ("a.gif", 26), ("a.webp", 30), ("a/", np.inf)]
)
@pytest.mark.parametrize(("height", "width"), [(36, 48), (35, 47)])
def test_round_trip_keeps_size_rate_frames_and_provenance(tmp_path, name, floor, height, width):
    clip = Clip(moving(height=height, width=width), 16.0, PROVENANCE)
    path = clip.save(f"{tmp_path}/{name}")
    back = Clip.load(path)
    assert back.size == (height, width)
    assert back.num_frames == 9
    assert back.fps == 16.0
    assert back.provenance == PROVENANCE == read_provenance(path)
    assert psnr(clip.frames, back.frames) >= floor
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name], "a temporary file was left behind"


def test_lossless_webp_and_png_are_exact(tmp_path):
    clip = Clip(moving(), 12.5)
    assert np.array_equal(Clip.load(clip.save(tmp_path / "a.webp", lossless=True)).frames, clip.frames)
    still = Clip(moving(1), 24, PROVENANCE)
    back = Clip.load(still.save(tmp_path / "a.png"))
    assert np.array_equal(back.frames, still.frames)
    assert back.provenance == PROVENANCE


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_equal_neighbours_survive_formats_that_merge_them(tmp_path, name):
    frames = moving()[[0, 0, 0, 1, 2, 2, 3, 3, 3]]
    back = Clip.load(Clip(frames, 16.0).save(tmp_path / name, lossless=name.endswith("webp")))
    assert back.num_frames == 9
    same = [np.array_equal(back.frames[t], back.frames[t + 1]) for t in range(8)]
    assert same == [True, True, False, False, True, False, True, True]


def test_still_clip_keeps_its_frames_in_every_format(tmp_path):
    frames = np.repeat(moving(1), 5, axis=0)
    for name in ("a.mp4", "a.webm", "a.gif", "a.webp", "a/"):
        assert Clip.load(Clip(frames, 16).save(f"{tmp_path}/{name}")).num_frames == 5, name


def test_gif_times_do_not_drift(tmp_path):
    Clip(moving(33), 16.0).save(tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as image:
        total = 0
        for index in range(image.n_frames):
            image.seek(index)
            total += image.info["duration"]
    assert total == pytest.approx(33 / 16 * 1000, abs=10)


@pytest.mark.parametrize("colour", [(220, 40, 30), (10, 200, 60), (30, 60, 230), (255, 255, 255), (0, 0, 0)])
@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_video_colours_and_tags(tmp_path, colour, name):
    frames = np.broadcast_to(np.array(colour, np.uint8), (3, 32, 32, 3))
    path = Clip(frames, 16).save(tmp_path / name)
    assert np.abs(Clip.load(path).frames.astype(int) - colour).max() <= 3
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        found = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
    assert tuple(int(value) for value in found) == (1, 13, 1, 1)


def test_mp4_can_be_played_while_it_loads(tmp_path):
    data = Clip(moving(), 16).save(tmp_path / "a.mp4").read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")


def test_quality_costs_bytes_and_buys_fidelity(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    for name in ("a.mp4", "a.webm", "a.webp"):
        sizes, fidelity = [], []
        for quality in (30, 95):
            path = Clip(noise, 16).save(tmp_path / name, quality=quality)
            sizes.append(path.stat().st_size)
            fidelity.append(psnr(Clip.load(path).frames, noise))
        assert sizes[0] < sizes[1], name
        assert fidelity[0] < fidelity[1], name


def test_large_provenance_fits(tmp_path):
    provenance = {"motion": "x" * 1_500_000}
    for name in ("a.mp4", "a.webm", "a.gif", "a.webp", "a/"):
        path = Clip(moving(2), 16, provenance).save(f"{tmp_path}/{name}")
        assert read_provenance(path) == provenance, name


def test_facts():
    clip = Clip(moving(8), 16)
    assert (clip.num_frames, clip.size, clip.duration) == (8, (36, 48), 0.5)
    assert repr(clip) == "Clip(8 frames at 16 fps, 48x36)"
    assert clip.digest() == Clip(moving(8), 24).digest()
    assert clip.digest() != Clip(moving(7), 16).digest()


@pytest.mark.parametrize(
    ("frames", "fps", "word"),
    [
        (np.zeros((2, 4, 4, 3), np.float32), 16, "float32"),
        (np.zeros((2, 4, 4), np.uint8), 16, r"\[2, 4, 4\]"),
        (np.zeros((0, 4, 4, 3), np.uint8), 16, r"\[0, 4, 4, 3\]"),
        (np.zeros((2, 4, 4, 3), np.uint8), 0, "fps"),
        (np.zeros((2, 4, 4, 3), np.uint8), float("nan"), "fps"),
    ],
)
def test_what_is_not_a_clip_is_refused(frames, fps, word):
    with pytest.raises(InputError, match=word):
        Clip(frames, fps)


def test_saving_refuses_what_it_cannot_do(tmp_path):
    clip = Clip(moving(), 16)
    with pytest.raises(InputError, match=r"\.avi"):
        clip.save(tmp_path / "a.avi")
    with pytest.raises(InputError, match="one frame, found 9"):
        clip.save(tmp_path / "a.png")
    with pytest.raises(InputError, match="lossless"):
        clip.save(tmp_path / "a.mp4", lossless=True)
    with pytest.raises(InputError, match="50 fps"):
        Clip(moving(), 60).save(tmp_path / "a.gif")
    with pytest.raises(InputError, match="not JSON"):
        Clip(moving(), 16, {"a": np.float32(1)}).save(tmp_path / "a.mp4")
    with pytest.raises(InputError, match="quality"):
        clip.save(tmp_path / "a.mp4", quality=0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis\.txt"):
        clip.save(f"{tmp_path}/mine/")
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_failed_save_leaves_the_old_file_and_no_scraps(tmp_path, monkeypatch):
    path = Clip(moving(), 16).save(tmp_path / "a.mp4")
    before = path.read_bytes()

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(av.VideoFrame, "from_ndarray", stop)
    with pytest.raises(KeyboardInterrupt):
        Clip(moving(), 16).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_loading_is_bounded_before_decoding(tmp_path):
    for name in ("a.mp4", "a.webm", "a.gif", "a.webp", "a/"):
        path = Clip(moving(), 16).save(f"{tmp_path}/{name}")
        with pytest.raises(FileFormatError, match="frames"):
            Clip.load(path, max_frames=8)
        with pytest.raises(FileFormatError, match="pixels"):
            Clip.load(path, max_pixels=9 * 36 * 48 - 1)
        assert Clip.load(path, max_frames=9, max_pixels=9 * 36 * 48).num_frames == 9


def test_damaged_and_foreign_files_are_named(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"this is no video at all" * 10)
    with pytest.raises(FileFormatError, match=r"a\.mp4: not a video"):
        Clip.load(path)
    with pytest.raises(FileFormatError, match="no such file"):
        Clip.load(tmp_path / "none.mp4")
    with pytest.raises(FileFormatError, match="no such file"):
        Clip.load(tmp_path / "none.gif")
    whole = Clip(moving(), 16).save(tmp_path / "b.mp4").read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(FileFormatError, match=r"a\.mp4"):
        Clip.load(path)
    playlist = tmp_path / "list.mp4"
    playlist.write_text(f"ffconcat version 1.0\nfile '{tmp_path / 'b.mp4'}'\n")
    with pytest.raises(FileFormatError, match="not a video"):
        Clip.load(playlist)
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileFormatError, match="not a folder of frames"):
        Clip.load(tmp_path / "folder")


def test_comment_of_another_program_is_no_provenance(tmp_path):
    path = tmp_path / "a.gif"
    first, *rest = (Image.fromarray(frame) for frame in moving(4))
    for comment in (b"made with love", json.dumps({"format": "motionloom.clip", "version": 1}).encode(), b"[" * 5000):
        first.save(path, save_all=True, append_images=rest, duration=40, comment=comment)
        back = Clip.load(path)
        assert back.provenance == {}
        assert back.fps == pytest.approx(25)
        assert back.num_frames == 4


@pytest.mark.parametrize("quality", [95, 100])
def test_high_quality_gives_the_same_file_each_time(tmp_path, quality):
    rng = np.random.default_rng(5)
    picture = np.repeat(np.repeat(rng.integers(0, 255, (12, 20, 3), np.uint8), 8, 0), 8, 1)
    frames = np.stack([np.roll(picture, 3 * t, axis=1)[:, :96] for t in range(17)])
    files = {Clip(frames, 16.0).save(tmp_path / f"{n}.mp4", quality=quality).read_bytes() for n in range(12)}
    assert len(files) == 1
