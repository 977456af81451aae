from types import SimpleNamespace

import numpy as np
import pytest

from motionloom.errors import InputError
from motionloom.evaluate.bench import Candidate
from motionloom.evaluate.bench.worker import fitting, sample_of
from motionloom.evaluate.movebench import open_benchmark
from motionloom.media import Clip
from motionloom.models.card import ModelCard
from motionloom.models.parameters import Parameters
from motionloom.tracks.tracks import Tracks


def _model(native=None, num_frames=None, sizes=(), most=10_000, multiple=1):
    """A model that makes sides that are multiples of a number, and clips up to a number of frames."""

    def legal_size(size):
        if size[0] % multiple or size[1] % multiple:
            raise InputError("size: not a multiple")
        return size

    def legal_frames(frames):
        if frames > most:
            raise InputError("num_frames: too many")
        return frames

    def size_at(size, area):
        scale = (area / (size[0] * size[1])) ** 0.5
        return tuple(round(side * scale / multiple) * multiple for side in size)

    return SimpleNamespace(
        card=ModelCard("m", "", "", "", None, ("ati",), native_size=native, sizes=sizes, num_frames=num_frames),
        legal_size=legal_size,
        legal_frames=legal_frames,
        size_at=size_at,
        default_size=lambda size: size_at(size, native[0] * native[1]) if native else size,
    )


def _motion(size=(480, 832), frames=81):
    return Tracks(np.zeros((frames, 1, 2), np.float32), np.ones((frames, 1), bool), size, 16.0)


@pytest.mark.parametrize(
    ("model", "motion", "expected"),
    [
        # The published program: the first frame's own size, as many frames as there are tracks.
        (_model((480, 832), 81, multiple=16), _motion(), ((480, 832), 81)),
        (_model(), _motion((117, 93), 7), ((117, 93), 7)),
        (_model((480, 832), 81, multiple=16), _motion((832, 480), 49), ((832, 480), 49)),
        # Sides the model cannot make: the nearest.
        (_model((480, 832), 81, multiple=16), _motion((476, 838)), ((480, 832), 81)),
        # A small model, and a long motion: what it was made for.
        (_model((128, 128), 17, multiple=16), _motion((480, 480)), ((128, 128), 17)),
        (_model((480, 832), 81, multiple=16), _motion((120, 208), 17), ((480, 832), 17)),
        (_model((704, 1280), 121, sizes=((480, 832),), multiple=32), _motion(), ((480, 832), 81)),
        (_model((480, 720), 49, most=49, multiple=16), _motion((480, 720), 81), ((480, 720), 49)),
        (_model(None, 49, most=49), _motion((480, 720), 49), ((480, 720), 49)),
    ],
)  # fmt: skip
def test_a_clip_has_the_size_and_frames_of_its_case_or_what_the_model_was_made_for(model, motion, expected):
    assert fitting(model, Candidate("m", "m"), motion) == expected


def test_what_was_asked_for_is_what_is_made():
    model = _model((128, 128), 17, multiple=16)
    asked = Candidate("m", "m", Parameters(size=(64, 96), num_frames=5))
    assert fitting(model, asked, _motion()) == ((64, 96), 5)
    assert fitting(_model(), Candidate("m", "m", Parameters(resolution="480p")), _motion((240, 416)))[0] == (480, 832)


def test_what_was_made_from_the_prompt_begins_with_no_photograph(made_bench, tmp_path):
    case = open_benchmark(made_bench).cases[0]
    frames = np.zeros((5, 32, 48, 3), np.uint8)
    record = {"version": 1, "image": None}
    of_prompt = Clip(frames, 8.0, record).save(tmp_path / "a.mp4")
    of_photograph = Clip(frames, 8.0, {**record, "image": {"path": "p.png", "sha256": "0"}}).save(tmp_path / "b.mp4")
    own = case.sample(str(of_photograph), seed=3)
    assert own.first_image is not None
    same = sample_of(case, of_photograph, seed=3)
    assert (same.first_image, same.last_image, same.box) == (own.first_image, own.last_image, own.box)
    found = sample_of(case, of_prompt, seed=3)
    assert (found.first_image, found.last_image, found.box) == (None, None, None)
    assert (found.motion, found.prompt, found.reference) == (own.motion, own.prompt, own.reference)
    assert sample_of(case, of_prompt, seed=3, foreign=True).first_image is not None
