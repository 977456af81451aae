import numpy as np
import pytest
from slides import FPS, SIZE, sliding, sliding_tracks

from motionloom.errors import InputError
from motionloom.evaluate.article import image_consistency, motion_error, quality_score, quality_score_reciprocal
from motionloom.evaluate.fidelity import ssim
from motionloom.media.flow import optical_flow
from motionloom.tracks.tracks import Tracks


def shifted(distance: float, size: tuple[int, int] = SIZE) -> np.ndarray:
    flow = np.zeros((*size, 2), np.float32)
    flow[..., 0] = distance
    return flow


def test_motion_error_in_three_units():
    # 3 px against 1 px per frame: 2, 4, 6 and 8 px over frames 1 to 4.
    errors = motion_error(sliding_tracks(1), sliding_tracks(3))
    assert errors == {
        "me": pytest.approx(5),
        "me_256": pytest.approx(5 * 256 / 96),
        "me_norm": pytest.approx(5 / np.hypot(64, 96)),
    }
    assert motion_error(sliding_tracks(1).resize((128, 192)), sliding_tracks(3))["me"] == pytest.approx(5)


def test_motion_error_looks_at_visible_points_and_may_have_none():
    wanted = sliding_tracks(3)
    visible = wanted.visible.copy()
    visible[2:] = False
    assert motion_error(sliding_tracks(1), Tracks(wanted.points, visible, SIZE, FPS))["me"] == pytest.approx(2)
    visible[1:] = False
    nothing = Tracks(wanted.points, visible, SIZE, FPS)
    assert set(motion_error(sliding_tracks(1), nothing).values()) == {None}
    with pytest.raises(InputError):
        motion_error(sliding_tracks(1, frames=4), wanted)


def test_a_moved_frame_is_consistent_where_it_can_be_seen(picture):
    frame, following = sliding(picture, 3, frames=2)
    value, share = image_consistency(frame, following, shifted(3), shifted(-3))
    # What left at the right cannot be seen: 3 of 96 columns. SSIM's window still meets them.
    assert share == pytest.approx(93 / 96)
    assert value > 0.99
    wrong, _ = image_consistency(frame, following, shifted(0), shifted(0))
    assert wrong == pytest.approx(ssim(frame[None], following[None])[0], abs=1e-9)
    assert wrong < 0.9
    dis, _ = image_consistency(frame, following, optical_flow(frame, following), optical_flow(following, frame))
    assert dis == pytest.approx(value, abs=0.05)


def test_still_frames_are_wholly_consistent(picture):
    assert image_consistency(picture, picture, shifted(0), shifted(0)) == (pytest.approx(1), 1)


def test_flows_that_disagree_leave_nothing(picture):
    assert image_consistency(picture, picture, shifted(3), shifted(-1.9)) == (None, 0)
    value, share = image_consistency(picture, picture, shifted(0.9), shifted(0))
    assert value is not None
    assert share > 0.9


def test_consistency_refuses_other_shapes(picture):
    with pytest.raises(InputError, match="found shapes"):
        image_consistency(picture, picture[:32], shifted(0), shifted(0))
    with pytest.raises(InputError, match="found shapes"):
        image_consistency(picture, picture, shifted(0), shifted(0, (32, 32)))
    with pytest.raises(InputError, match="found 15x96 pixels, expected at least 16"):
        image_consistency(picture[:15], picture[:15], shifted(0, (15, 96)), shifted(0, (15, 96)))


def test_quality_scores():
    assert [quality_score(niqe) for niqe in (0, 3)] == [100, 100]
    assert quality_score(8) == pytest.approx(100 / np.e)
    assert quality_score_reciprocal(0) == 1
    assert quality_score_reciprocal(5) == pytest.approx(2 / 3)
