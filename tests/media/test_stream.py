from __future__ import annotations

import tracemalloc
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest

from motionloom.errors import FileFormatError, InputError
from motionloom.media import Clip
from motionloom.media.stream import BackwardFrames, HeldFrames, PartFrames, VideoFrames, open_frames, windows

FRAMES = 300


def panorama(frames, height=49, width=67):
    """A picture that moves by a pixel a frame: every frame is another."""
    rng = np.random.default_rng(0)
    large = np.uint8(cv2.GaussianBlur(rng.integers(0, 255, (height, 400, 3), dtype=np.uint8), (0, 0), 2))
    return np.stack([np.roll(large, -number, 1)[:, :width] for number in range(frames)])


@pytest.fixture(scope="module", params=[".mp4", ".webm"])
def video(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / f"long{request.param}"
    Clip(panorama(FRAMES), 24.0).save(path)
    return path, Clip.load(path).frames


@pytest.mark.slow
def test_frames_by_number_are_those_of_the_clip(video):
    path, expected = video
    frames = VideoFrames(path)
    assert (frames.num_frames, frames.size, frames.fps) == (FRAMES, (49, 67), 24.0)
    for start, stop in [(0, 10), (9, 20), (280, 300), (100, 140), (90, 101), (299, 300), (0, 1), (40, 40), (39, 42)]:
        assert np.array_equal(frames.read(start, stop), expected[start:stop]), (start, stop)


@pytest.mark.slow
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("overlap", [0, 1])
def test_windows_cover_everything_in_both_directions(video, backwards, overlap):
    path, expected = video
    frames = BackwardFrames(VideoFrames(path)) if backwards else VideoFrames(path)
    expected = expected[::-1] if backwards else expected
    ends = []
    for start, block in windows(frames, 32, overlap):
        assert np.array_equal(block, expected[start : start + len(block)])
        ends.append((start, start + len(block)))
    assert ends[0][0] == 0
    assert ends[-1][1] == FRAMES
    assert all(before[1] - after[0] == overlap for before, after in pairwise(ends))


def test_what_is_read_may_be_changed_without_harm(video):
    path, expected = video
    frames = VideoFrames(path)
    frames.read(0, 8)[:] = 0
    assert np.array_equal(frames.read(4, 12), expected[4:12])


def test_without_time_stamps_going_back_starts_again(tmp_path):
    path = tmp_path / "raw.h264"
    with av.open(str(path), "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"bf": "0", "g": "20"}
        for frame in panorama(90, 48, 64):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    expected = Clip.load(path).frames
    frames = VideoFrames(path)
    assert frames.num_frames == len(expected) == 90
    for start, stop in [(70, 80), (10, 20), (60, 90), (59, 61)]:
        assert np.array_equal(frames.read(start, stop), expected[start:stop])


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".webp", "/"])
def test_small_files_are_held(tmp_path, suffix):
    path = tmp_path / f"small{suffix}"
    Clip(panorama(5), 10.0).save(f"{path}{suffix if suffix == '/' else ''}")
    frames = open_frames(path)
    assert isinstance(frames, HeldFrames)
    assert np.array_equal(frames.read(1, 5), Clip.load(path).frames[1:])
    assert frames.fps == 10.0


def test_large_files_are_read_piece_by_piece(video):
    path, expected = video
    frames = open_frames(path, max_bytes=expected.nbytes // 2)
    assert isinstance(frames, VideoFrames)
    assert open_frames(frames) is frames
    assert isinstance(open_frames(path), HeldFrames)


def test_arrays_and_clips():
    grey = panorama(3)[..., 0]
    frames = open_frames(grey, fps=8.0)
    assert (frames.num_frames, frames.size, frames.fps) == (3, (49, 67), 8.0)
    assert np.array_equal(frames.read(1, 2)[..., 2], grey[1:2])
    clip = Clip(panorama(3), 12.0)
    assert open_frames(clip).fps == 12.0
    assert np.shares_memory(open_frames(clip).read(0, 2), clip.frames)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path):
    peaks = []
    for count in (100, 1000):
        path = tmp_path / f"{count}.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            stream.options = {"preset": "ultrafast"}
            for frame in range(count):
                pixels = np.full((64, 96, 3), frame % 251, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
        tracemalloc.start()
        for frames in (VideoFrames(path), BackwardFrames(VideoFrames(path))):
            for _, block in windows(frames, 32, 1):
                assert len(block)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_damaged_file_is_refused(tmp_path, share):
    path = tmp_path / "whole.mp4"
    Clip(panorama(40), 24.0).save(path)
    data = path.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: int(len(data) * share)])
    for read in (VideoFrames, Clip.load, open_frames):
        with pytest.raises(FileFormatError, match=r"cut\.mp4: the video is damaged after frame"):
            read(cut)
    with pytest.raises(FileFormatError, match="no such file"):
        open_frames(tmp_path / "none.mp4")


@pytest.mark.parametrize("kept", [1, 20, 38, 39])
def test_a_file_cut_between_two_packets_is_refused(tmp_path, kept):
    path, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    Clip(panorama(40), 24.0).save(path)
    with av.open(str(path)) as container:
        ends = sorted(packet.pos + packet.size for packet in container.demux(container.streams.video[0]) if packet.size)
    cut.write_bytes(path.read_bytes()[: ends[kept - 1]])
    for read in (VideoFrames, Clip.load, open_frames):
        with pytest.raises(FileFormatError, match=r"cut\.mp4: the video is damaged after frame"):
            read(cut)
    assert Clip.load(path).num_frames == 40


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path):
    path = tmp_path / "video.mp4"
    Clip(panorama(60), 24.0).save(path)
    frames = VideoFrames(path)
    Clip(panorama(60)[::-1], 24.0).save(path)
    with pytest.raises(FileFormatError, match="not what it was"):
        frames.read(50, 60)


def test_too_many_frames_are_refused(video):
    path, _ = video
    with pytest.raises(FileFormatError, match="more than 10 frames"):
        VideoFrames(path, max_frames=10)


def test_a_part_of_the_frames():
    frames = open_frames(panorama(9))
    part = PartFrames(frames, 2, 7)
    assert part.num_frames == 5
    assert np.array_equal(part.read(1, 4), frames.read(3, 6))
    assert PartFrames(frames, 8).num_frames == 1
    for start, stop in ((9, None), (3, 3), (0, 10), (-1, 3)):
        with pytest.raises(InputError, match="a part of the 9 frames"):
            PartFrames(frames, start, stop)
    with pytest.raises(InputError, match="within the 5 frames"):
        part.read(0, 6)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (2, 1), (0, 6)])
def test_frames_outside_are_refused(start, stop):
    with pytest.raises(InputError, match="within the 5 frames"):
        open_frames(panorama(5)).read(start, stop)


@pytest.mark.parametrize(
    "array", [np.zeros((3, 4, 4, 3), np.float32), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 4, 3), np.uint8)]
)
def test_arrays_that_are_no_video_are_refused(array):
    with pytest.raises(InputError, match="video: found"):
        open_frames(array)
