"""The default tracker on files: the same result as on arrays, and memory that does not grow."""

from __future__ import annotations

import tracemalloc

import av
import numpy as np
import pytest

from motionloom.media import Clip
from motionloom.media.stream import HeldFrames, VideoFrames, open_frames
from motionloom.tracks.trackers import track


def video(path, count, height=48, width=64):
    """A texture that swings from side to side."""
    rng = np.random.default_rng(0)
    large = np.kron(rng.integers(0, 255, (height // 4, 40), dtype=np.uint8), np.ones((4, 4), np.uint8))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "10"}
        for number in range(count):
            left = int(20 + 10 * np.sin(number / 9))
            frame = np.repeat(large[:, left : left + width, None], 3, 2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.slow
def test_a_file_read_piece_by_piece_gives_the_same_tracks(tmp_path):
    path = video(tmp_path / "a.mp4", 90)
    queries = np.array([[0, 20.0, 20.0], [40, 30.0, 30.0], [89, 40.0, 20.0]])
    steps = []
    pieces = track(VideoFrames(path), queries, on_progress=lambda *step: steps.append(step))
    assert pieces == track(Clip.load(path), queries) == track(path, queries)
    assert steps[-1] == (180, 180)
    assert pieces.fps == 25.0
    assert track(path, queries, fps=5.0).fps == 5.0
    assert isinstance(open_frames(path), HeldFrames)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path):
    peaks = []
    queries = np.array([[0, 20.0, 20.0], [40, 40.0, 30.0]])
    for count in (60, 600):
        path = video(tmp_path / f"{count}.mp4", count)
        tracemalloc.start()
        track(VideoFrames(path), queries, refine=False)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 540 * 1000  # the tracks themselves; a frame has 9000 bytes
