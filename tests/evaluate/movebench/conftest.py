import numpy as np
import pytest
from PIL import Image

from motionloom.media import Clip

SIZE, FRAMES = (32, 48), 5


def picture(seed):
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    rng = np.random.default_rng(seed)
    waves = [
        127 + 100 * np.sin(x * rng.uniform(0.1, 0.4) + y * rng.uniform(0.1, 0.4) + rng.uniform(0, 6)) for _ in "rgb"
    ]
    return np.stack(waves, -1).astype(np.uint8)


def motion(seed, tracks=3):
    """Positions [T, N, 2] that go right by two pixels a frame, and visibility with one hidden point."""
    rng = np.random.default_rng(seed)
    start = rng.uniform([8, 8], [30, 24], (tracks, 2))
    points = start + np.arange(FRAMES)[:, None, None] * np.array([2.0, 0.0])
    visible = np.ones((FRAMES, tracks), bool)
    visible[-1, 0] = False
    return points, visible


@pytest.fixture
def published(tmp_path):
    """MoveBench/ as it is published, written by hand: three cases with single tracks, one also with multi, en and zh.

    The lists have a byte order mark, CRLF, comments, empty lines, and captions with commas; the arrays are float64.
    """
    root = tmp_path / "MoveBench"
    ids = ["Pexels_3C_product_0", "Pexels_3C_product_1", "Pexels_big_cat_7"]
    captions = {
        "en": ["A phone, on a table, slides.", "Two phones", "A lion: roars"],
        "zh": ["手机，滑动", "手机", "狮子"],
    }
    for language, texts in captions.items():
        folder = root / language
        for name in ("first_frame", "video", "track/single", "track/multi"):
            (folder / name).mkdir(parents=True)
        lines = ["# file,caption", "", *(f"{id}.mp4,{text}" for id, text in zip(ids, texts, strict=True)), ""]
        (folder / "single_track.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
        (folder / "multi_track.txt").write_text(f"{ids[2]}.mp4, {texts[2]}\n", "utf-8")
        for number, id in enumerate(ids):
            image = picture(number)
            Image.fromarray(image).save(folder / "first_frame" / f"{id}.jpg", quality=95)
            frames = np.stack([np.roll(image, 2 * t, axis=1) for t in range(FRAMES)])
            Clip(frames, 16.0).save(folder / "video" / f"{id}.mp4")
            points, visible = motion(number)
            np.save(folder / "track/single" / f"{id}_tracks.npy", points[None])
            np.save(folder / "track/single" / f"{id}_visibility.npy", visible[None])
        points, visible = motion(9, tracks=6)
        np.save(folder / "track/multi" / f"{ids[2]}_tracks.npy", points)
        np.save(folder / "track/multi" / f"{ids[2]}_visibility.npy", visible)
    return root
