import cv2
import numpy as np
import pytest

from motionloom.errors import Cancelled, InputError
from motionloom.methods.warp import WarpPipeline, warp
from motionloom.tracks.layers import Layer
from motionloom.tracks.tracks import Tracks

SIZE = (96, 144)


def photograph(seed=0, size=SIZE, detail=2.0):
    noise = np.random.default_rng(seed).normal(0, 1, (*size, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), detail)
    return np.clip(127 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def make_tracks(points, size=SIZE):
    points = np.asarray(points, np.float32)
    return Tracks(points, np.ones(points.shape[:2], bool), size, 16.0)


def grid_tracks(shift, frames=5, size=SIZE, spacing=24):
    grid = np.stack(np.meshgrid(np.arange(12, size[1], spacing), np.arange(12, size[0], spacing)), -1).reshape(-1, 2)
    return make_tracks(grid[None] + np.linspace(0, 1, frames)[:, None, None] * np.asarray(shift, float), size)


def moving_object(shift, frames=5, colour=(230, 30, 30)):
    """A textured red square on a grey-green ground, its region, and its layer."""
    image = (photograph(3).astype(np.float32) * [0.3, 0.6, 0.4]).astype(np.uint8)
    region = np.zeros(SIZE, bool)
    region[36:60, 40:64] = True
    texture = np.random.default_rng(1).integers(-25, 25, (24, 24, 1))
    image[36:60, 40:64] = np.clip(np.asarray(colour) + texture, 0, 255)
    rest = np.array([[44.0, 40], [60, 40], [44, 56], [60, 56]])
    tracks = make_tracks(rest[None] + np.linspace(0, 1, frames)[:, None, None] * np.asarray(shift, float))
    return image, region, Layer(tracks, region, True, "square", 1)


def psnr(a, b):
    return 10 * np.log10(255**2 / max(np.mean((a.astype(float) - b.astype(float)) ** 2), 1e-9))


@pytest.mark.parametrize("num_frames", [1, 5, 17])
def test_no_tracks_or_no_strength_repeat_the_image(num_frames):
    image = photograph()
    still = np.repeat(image[None], num_frames, 0)
    assert np.array_equal(warp(image, Tracks.empty(3, SIZE, 8.0), num_frames=num_frames), still)
    assert np.array_equal(warp(image, grid_tracks((9, 4)), num_frames=num_frames, strength=0), still)
    _, _, layer = moving_object((30, 0))
    assert np.array_equal(warp(image, layers=[layer], num_frames=num_frames, strength=0), still)
    assert np.array_equal(warp(image, layers=[], num_frames=num_frames), still)


def test_frame_zero_is_the_image():
    image, _, layer = moving_object((30, 5))
    background = Layer(grid_tracks((-8, 3)), None, False, "background", 0)
    assert np.array_equal(warp(image, layers=[background, layer])[0], image)


def test_integer_pan_is_the_shifted_image():
    image = photograph()
    frames, known = warp(image, grid_tracks((8, 4)), return_mask=True)
    for t in range(5):
        dx, dy = 2 * t, t
        assert np.array_equal(frames[t, dy:, dx:], image[: SIZE[0] - dy, : SIZE[1] - dx])
        assert known[t, dy:, dx:].all()
        assert not known[t, :dy].any()
        assert not known[t, :, :dx].any()
    assert frames[4, :4].mean() > 100  # no black border
    assert frames[4, :, :8].mean() > 100


def test_strength_scales_displacement():
    image = photograph()
    assert np.array_equal(warp(image, grid_tracks((8, 4)), strength=0.5)[4], warp(image, grid_tracks((4, 2)))[4])


def test_zoom_stays_sharp_and_in_place():
    image = photograph(detail=4.0)
    rest = grid_tracks((0, 0)).points[0].astype(float)
    centre = np.array([72.0, 48.0])
    frames = warp(image, make_tracks([rest, centre + (rest - centre) * 2]))
    expected = cv2.resize(image[24:72, 36:108], (144, 96), interpolation=cv2.INTER_LANCZOS4)
    assert psnr(frames[1][8:-8, 8:-8], expected[8:-8, 8:-8]) > 38


def test_zoom_out_is_filtered():
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    checker = np.repeat(((x + y) % 2 * 255).astype(np.uint8)[..., None], 3, 2)
    rest = grid_tracks((0, 0)).points[0].astype(float)
    centre = np.array([72.0, 48.0])
    frames = warp(checker, make_tracks([rest, centre + (rest - centre) * 0.4]))
    assert frames[1][40:56, 60:84].std() < 10  # grey, not moiré


def test_object_arrives_and_leaves_no_ghost():
    image, _, layer = moving_object((40, 10))
    frames, known = warp(image, layers=[layer], return_mask=True)
    last = frames[-1]
    assert psnr(last[50:66, 84:100], image[40:56, 44:60]) > 40
    behind = last[36:60, 40:64].astype(int)
    assert (behind[..., 0] - behind[..., 1]).max() < 40  # nothing red is left
    old = image[38:58, 42:62].astype(float).mean(-1).ravel()
    new = last[38:58, 42:62].astype(float).mean(-1).ravel()
    assert abs(np.corrcoef(old, new)[0, 1]) < 0.35
    assert not known[-1, 38:58, 42:62].any()
    assert known[-1, 50:66, 84:100].all()
    far = np.ones(SIZE, bool)
    far[28:80, 30:114] = False
    assert np.array_equal(last[far], image[far])
    plain = warp(image, layers=[layer], fill="smooth")[-1, 36:60, 40:64].astype(int)
    assert (plain[..., 0] - plain[..., 1]).max() < 40
    ghost = warp(image, layers=[layer], fill="none")[-1]
    assert np.array_equal(ghost[40:56, 44:60], image[40:56, 44:60])


def test_later_layers_are_in_front():
    image, region, red = moving_object((40, 0))
    blue_region = np.zeros(SIZE, bool)
    blue_region[36:60, 80:104] = True
    image[blue_region] = (20, 20, 240)
    still = make_tracks(np.repeat([[[84.0, 40], [100, 56]]], 5, 0))
    blue = Layer(still, blue_region, True, "blue", 0)
    assert warp(image, layers=[red, blue])[-1, 48, 92, 0] > 190
    behind = Layer(red.tracks, region, True, "red", 0)
    front = Layer(still, blue_region, True, "blue", 1)
    assert warp(image, layers=[behind, front])[-1, 48, 92].tolist() == [20, 20, 240]


def test_object_keeps_its_place_while_the_camera_pans():
    image, _, layer = moving_object((0, 0))
    background = Layer(grid_tracks((16, 0)), None, False, "background", 0)
    last = warp(image, layers=[background, layer])[-1]
    assert psnr(last[40:56, 44:60], image[40:56, 44:60]) > 40
    assert np.array_equal(last[5:25, 30:140], image[5:25, 14:124])


def test_rotating_region():
    image, _, _ = moving_object((0, 0))
    image[36:60, 40:52] = (30, 30, 230)  # left half blue
    region = np.zeros(SIZE, bool)
    region[36:60, 40:64] = True
    rest = np.array([[44.0, 40], [60, 40], [44, 56], [60, 56]])
    half_turn = [[52, 48] + (rest - [52, 48]) * s for s in (1, -1)]
    last = warp(image, layers=[Layer(make_tracks(half_turn), region, True, "turn", 1)])[-1].astype(int)
    assert last[48, 44, 0] > 180
    assert last[48, 60, 2] > 180


def test_static_anchors_do_not_drift():
    image = photograph(detail=1.5)
    static = [[30, 30], [30, 70], [120, 48], [72, 12]]
    path = np.linspace(0, 1, 9)[:, None] * [14, 6] + [72, 48]
    points = np.concatenate([path[:, None], np.repeat([static], 9, 0)], axis=1)
    last = warp(image, make_tracks(points))[-1].astype(np.float32)
    for x, y in static:
        window = (slice(y - 5, y + 6), slice(x - 5, x + 6))
        before = image.astype(np.float32).mean(-1)
        dx, dy = np.gradient(before, axis=1)[window].ravel(), np.gradient(before, axis=0)[window].ravel()
        change = (last.mean(-1) - before)[window].ravel()
        drift, *_ = np.linalg.lstsq(np.stack([dx, dy], 1), change, rcond=None)
        assert np.abs(drift).max() < 0.25
    moved = last[48 + 6 - 3 : 48 + 6 + 4, 72 + 14 - 3 : 72 + 14 + 4].mean(-1)
    original = image[45:52, 69:76].astype(np.float32).mean(-1)
    assert np.corrcoef(moved.ravel(), original.ravel())[0, 1] > 0.9


def test_tracks_of_another_canvas_and_length():
    image = photograph()
    half = Tracks(grid_tracks((8, 4)).points / 2, np.ones((5, 24), bool), (48, 72), 16.0)
    assert np.array_equal(warp(image, half), warp(image, grid_tracks((8, 4))))
    longer = warp(image, grid_tracks((8, 4)), num_frames=9)
    assert longer.shape == (9, *image.shape)
    assert np.array_equal(longer[8], warp(image, grid_tracks((8, 4)))[4])


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (9, 3), (33, 500)])
def test_any_size(size):
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    region = np.zeros(size, bool)
    region[: (size[0] + 1) // 2] = True
    tracks = make_tracks([[[0.5, 0.5]], [[3.5, 1.5]]], size)
    frames = warp(image, layers=[Layer(tracks, region, True, "a", 1), Layer(tracks, None, False, "b", 0)])
    assert frames.shape == (2, *size, 3)
    assert np.array_equal(frames[0], image)


def test_pipeline_scales_reports_and_stops():
    image = photograph()
    calls = []
    frames = WarpPipeline()(
        image, grid_tracks((8, 4)), height=48, width=72, on_progress=lambda *step: calls.append(step)
    )
    assert frames.shape == (5, 48, 72, 3)
    assert calls == [(k, 5) for k in range(1, 6)]

    def stop(step, total):
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        WarpPipeline()(image, grid_tracks((8, 4)), on_progress=stop)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image": np.zeros((4, 4), np.uint8)}, r"image: found uint8 \(4, 4\), expected uint8 \[H, W, 3\]"),
        ({"num_frames": 0}, "num_frames"),
        ({"strength": float("nan")}, "strength"),
        ({"fill": "magic"}, "fill: found 'magic'"),
        ({"matting": "magic"}, "matting: found 'magic'"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    given = {"image": photograph(), "tracks": grid_tracks((8, 4)), **arguments}
    with pytest.raises(InputError, match=message):
        warp(**given)
