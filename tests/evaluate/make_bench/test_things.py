import cv2
import numpy as np

from motionloom.evaluate.make_bench.things import moving_things, same_look
from motionloom.tracks.tracks import Tracks

SIZE = (100, 200)


def scene(*, pan=(0.0, 0.0), things=(), frames=9, noise=0.0):
    """A grid of ground points under a pan, then for each (centre, way) nine points around the centre that go it."""
    t = np.linspace(0, 1, frames)[:, None, None]
    y, x = np.mgrid[5:100:10, 5:200:10]
    ground = np.stack([x.ravel(), y.ravel()], -1) + t * np.array(pan)
    parts = [ground]
    for centre, way in things:
        offset = np.stack(np.meshgrid([-6, 0, 6], [-6, 0, 6]), -1).reshape(-1, 2)
        parts.append(np.array(centre) + offset + t * np.array(way))
    points = np.concatenate(parts, 1)
    points = points + np.random.default_rng(0).normal(0, noise, points.shape) * (t > 0)
    return Tracks(points.astype(np.float32), np.ones(points.shape[:2], bool), SIZE, 16.0)


def test_each_thing_is_one_group_the_farthest_first():
    tracks = scene(pan=(8, 3), things=[((50, 50), (20, 0)), ((140, 40), (-40, 10))], noise=0.2)
    found = moving_things(tracks)
    assert [sorted(group.tolist()) for group in found] == [list(range(209, 218)), list(range(200, 209))]
    assert len(moving_things(tracks, most=1)) == 1


def test_a_pan_alone_is_one_thing_and_stillness_none():
    assert [len(group) for group in moving_things(scene(pan=(20, 0)))] == [200]
    assert moving_things(scene(noise=0.2)) == []
    assert moving_things(Tracks.empty(5, SIZE, 16.0)) == []


def test_hidden_points_and_loners_do_not_count():
    tracks = scene(things=[((50, 50), (30, 0))])
    seen = tracks.visible.copy()
    seen[2:, 200:206] = False
    assert moving_things(Tracks(tracks.points, seen, SIZE, 16.0)) == []
    points = tracks.points.copy()
    points[:, 204:] = points[:1, 204:]
    assert [group.tolist() for group in moving_things(Tracks(points, tracks.visible, SIZE, 16.0))] == [
        [200, 201, 202, 203]
    ]


def test_what_is_swept_up_looks_different_afterwards():
    rng = np.random.default_rng(0)
    ground, texture = (rng.integers(0, 256, (*shape, 3), np.uint8) for shape in (SIZE, (24, 24)))
    ground, texture = (cv2.GaussianBlur(image, (0, 0), 1.5) for image in (ground, texture))
    frames = np.repeat(ground[None], 9, 0)
    for t in range(9):
        frames[t, 38:62, 38 + 8 * t : 62 + 8 * t] = texture
    tracks = scene(things=[((50, 50), (64, 0))])
    points = tracks.points.copy()
    # Four points of the ground ahead are caught when the thing arrives and go along, as a tracker has it.
    ahead = np.array([[69, 44], [69, 50], [69, 56], [70, 47]])
    caught = ahead + np.maximum(0, np.arange(9) - 1)[:, None, None] * np.array([8, 0])
    points = np.concatenate([points, caught], 1).astype(np.float32)
    swept = Tracks(points, np.ones(points.shape[:2], bool), SIZE, 16.0)
    assert [len(group) for group in moving_things(swept)] != [9]
    assert [sorted(group) for group in moving_things(swept, frames=frames)] == [list(range(200, 209))]
    assert same_look(frames, swept, np.arange(200, 213)).tolist() == list(range(200, 209))
