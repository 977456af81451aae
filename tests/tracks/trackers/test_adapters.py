"""The adapters against packages of the same interface as the published ones, whose networks shift points exactly.

The video moves by STEP pixels a frame, in pixels of the video; the fakes move every point so in their own conventions,
and check shapes, ranges and the order of queries themselves.
"""

from __future__ import annotations

import sys
import textwrap

import numpy as np
import pytest
import torch

from motionloom.errors import CheckpointError, InputError, MissingDependencyError
from motionloom.tracks.trackers import Tracker, list_trackers, load_tracker, track

STEP = np.array([2.0, -1.0])
SIZE = (96, 160)
FRAMES = 41

TAPIR = """
import torch
class TAPIR(torch.nn.Module):
    def __init__(self, pyramid_level=1, extra_convs=True, use_casual_conv=False, initial_resolution=(256, 256)):
        super().__init__()
        self.settings = (pyramid_level, extra_convs, use_casual_conv, tuple(initial_resolution))
        self.torch_pips_mixer = torch.nn.ModuleDict({"linear": torch.nn.Linear(388 + 49 * (pyramid_level + 2), 3)})
        if extra_convs:
            self.extra_convs = torch.nn.Linear(2, 2)
    def forward(self, video, query_points):
        b, t, h, w, c = video.shape
        assert (b, c) == (1, 3) and video.dtype == torch.float32 and (h, w) == self.settings[3]
        assert video.min() == -1 and video.max() == 1
        when, y, x = query_points[0].T
        passed = torch.arange(t) - when[:, None]
        tracks = torch.stack([x[:, None] + 2.0 * w / 160 * passed, y[:, None] - 1.0 * h / 96 * passed], -1)
        logits = torch.full((1, len(when), t), -3.0)
        logits[:, 1] = 3.0  # the second point is hidden
        return {"tracks": tracks[None], "occlusion": logits, "expected_dist": torch.full_like(logits, -3.0)}
"""

TAPNEXT = """
import dataclasses, torch
@dataclasses.dataclass
class State:
    step: int
    query_points: torch.Tensor
    sign: float
class TAPNext(torch.nn.Module):
    calls = 0
    def __init__(self, image_size):
        super().__init__()
        assert tuple(image_size) == (256, 256)
        self.lin_proj = torch.nn.Linear(2, 2)
    def forward(self, video, query_points=None, state=None):
        assert video.shape[:2] == (1, 1) and video.shape[-1] == 3 and -1 <= video.min() and video.max() <= 1
        assert (query_points is None) == (state is not None)
        step = 0 if state is None else state.step
        query = query_points if state is None else state.query_points
        when, y, x = query[0].T
        # The first pixel says which way time runs.
        sign = state.sign if state else -1.0 if video[0, 0, 0, 0, 0] > 0 else 1.0
        passed = sign * (step - when)
        tracks = torch.stack([y - 256 / 96 * passed, x + 2 * 256 / 160 * passed], -1)
        return tracks[None, None], None, torch.ones(1, 1, len(when), 1), State(step + 1, query, sign)
"""

COTRACKER = """
import torch
class _Base(torch.nn.Module):
    def __init__(self, checkpoint, offline, window_len):
        super().__init__()
        assert checkpoint is None and window_len == (60 if offline else 16)
        self.model = torch.nn.Linear(2, 2)
        self.interp_shape = (384, 512)
        self.step = 8
    def check(self, video):
        assert video.shape[0] == 1 and tuple(video.shape[2:]) == (3, 384, 512), video.shape
        assert video.dtype == torch.float32 and 0 <= video.min() and 1 < video.max() < 255.01
    def move(self, queries, passed):
        step = torch.tensor([2.0 * 511 / 159, -1.0 * 383 / 95])
        return queries[:, None, :, 1:] + (passed[:, None] - queries[0, :, 0])[None, :, :, None] * step
class CoTrackerPredictor(_Base):
    def __init__(self, checkpoint=None, offline=True, window_len=60):
        super().__init__(checkpoint, offline, window_len)
    def forward(self, video, queries, backward_tracking=False):
        self.check(video)
        assert backward_tracking
        tracks = self.move(queries, torch.arange(video.shape[1]))
        return tracks, torch.ones(tracks.shape[:3], dtype=torch.bool)
class CoTrackerOnlinePredictor(_Base):
    def __init__(self, checkpoint=None, offline=False, window_len=16):
        super().__init__(checkpoint, offline, window_len)
        self.chunks = []
    def forward(self, video_chunk, is_first_step=False, queries=None, add_support_grid=False):
        self.check(video_chunk)
        assert add_support_grid and video_chunk.shape[1] <= 16
        if is_first_step:
            self.queries, self.seen, self.sign = queries, 0, -1.0 if video_chunk[0, 0, 0, 0, 0] > 128 else 1.0
            return None, None
        self.chunks.append(video_chunk.shape[1])
        self.seen += video_chunk.shape[1] if not self.seen else video_chunk.shape[1] - self.step
        start = self.queries[:, None, :, 1:]
        tracks = start + self.sign * (self.move(self.queries, torch.arange(self.seen)) - start)
        tracks = torch.cat([tracks, torch.zeros(1, self.seen, 36, 2)], 2)  # the support grid
        return tracks, torch.ones(tracks.shape[:3], dtype=torch.bool)
"""


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No package of a test before, and no path to it."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("tapnet", "cotracker")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for variable in ("MOTIONLOOM_TRACKER_CODE", "MOTIONLOOM_TRACKER_CHECKPOINT"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def clone(tmp_path):
    folder = tmp_path / "clone"
    for path, text in {
        "tapnet/__init__.py": "",
        "tapnet/torch/__init__.py": "",
        "tapnet/torch/tapir_model.py": TAPIR,
        "tapnet/tapnext/__init__.py": "",
        "tapnet/tapnext/tapnext_torch.py": TAPNEXT,
        "cotracker/__init__.py": "",
        "cotracker/predictor.py": COTRACKER,
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(textwrap.dedent(text))
    return folder


def linear(name, inputs=2, outputs=2):
    return {f"{name}.weight": torch.zeros(outputs, inputs), f"{name}.bias": torch.zeros(outputs)}


def save(tmp_path, name, weights):
    torch.save(weights, tmp_path / name)
    return tmp_path / name


def video():
    """Frames from black to white."""
    frames = np.full((FRAMES, *SIZE, 3), 100, np.uint8)
    frames[0] = 0
    frames[0, -30:] = 255
    frames[-1] = 255
    return frames


def expected(queries):
    return queries[:, 1:] + (np.arange(FRAMES)[:, None] - queries[:, 0])[..., None] * STEP


QUERIES = np.array([[0, 30.25, 80.5], [0, 40.0, 70.0], [0, 0.5, 90.0]])


@pytest.mark.parametrize("pyramid", [0, 1])
@pytest.mark.parametrize("side", [256, 512])
def test_tapir(clone, tmp_path, pyramid, side):
    weights = linear("torch_pips_mixer.linear", 388 + 49 * (pyramid + 2), 3)
    if pyramid:
        weights |= linear("extra_convs")
    path = save(tmp_path, "causal_tapir.pt" if pyramid else "tapir.pt", weights)
    tracker = load_tracker("tapir", checkpoint=path, code=clone, resolution=side)
    assert isinstance(tracker, Tracker)
    assert tracker.network.settings == (pyramid, bool(pyramid), bool(pyramid), (side, side))
    queries = QUERIES.copy()
    queries[2, 0] = 20
    found = track(video(), queries, tracker=tracker)
    inside = (expected(queries) >= 0).all(-1) & (expected(queries) < [160, 96]).all(-1)
    np.testing.assert_allclose(found.points, expected(queries), atol=1e-3)
    assert (found.visible[:, [0, 2]] == inside[:, [0, 2]]).all()
    assert found.visible[:, 1].tolist() == [True] + [False] * (FRAMES - 1)


def one_way_video():
    """The first pixel is dark in the frame a pass begins with, and bright where it begins at the end."""
    frames = video()
    frames[:, 0, 0] = 0
    frames[-1, 0, 0] = 255
    return frames


def test_tapnext_one_frame_at_a_time(clone, tmp_path):
    wrapped = {"state_dict": {f"tapnext.{name}": value for name, value in linear("lin_proj").items()}}
    tracker = load_tracker("tapnext", checkpoint=save(tmp_path, "tapnextpp_ckpt.pt", wrapped), code=clone)
    steps = []
    found = track(video()[:-1], QUERIES[:2], tracker=tracker, on_progress=lambda *step: steps.append(step))
    np.testing.assert_allclose(found.points, expected(QUERIES[:2])[:-1], atol=1e-3)
    assert steps[-1] == (FRAMES - 1, FRAMES - 1)


def test_tapnext_backwards_for_later_points(clone, tmp_path):
    path = save(tmp_path, "tapnext.pt", linear("lin_proj"))
    queries = np.array([[30, 80.0, 50.0], [0, 40.0, 60.0], [FRAMES - 1, 100.0, 40.0]])
    found = track(one_way_video(), queries, tracker=load_tracker("tapnext", checkpoint=path, code=clone))
    np.testing.assert_allclose(found.points, expected(queries), atol=1e-3)
    assert found.visible[[30, 0, FRAMES - 1], [0, 1, 2]].all()


def test_cotracker3_offline(clone, tmp_path, caplog):
    path = save(tmp_path, "scaled_offline.pth", {"model": {"weight": torch.zeros(2, 2), "bias": torch.zeros(2)}})
    tracker = load_tracker("cotracker3", checkpoint=path, code=clone)
    assert "CC-BY-NC 4.0, code and weights (no commercial use)" in caplog.text
    queries = QUERIES.copy()
    queries[1, 0] = 7
    found = track(video(), queries, tracker=tracker)
    np.testing.assert_allclose(found.points, expected(queries), atol=1e-3)


@pytest.mark.parametrize("frames", [41, 17, 16, 9, 3])
def test_cotracker3_online_in_chunks(clone, tmp_path, frames):
    path = save(tmp_path, "scaled_online.pth", {"weight": torch.zeros(2, 2), "bias": torch.zeros(2)})
    tracker = load_tracker("cotracker3", checkpoint=path, code=clone)
    found = track(video()[:frames], QUERIES, tracker=tracker)
    np.testing.assert_allclose(found.points, expected(QUERIES)[:frames], atol=1e-3)
    assert sum(tracker.predictor.chunks) - 8 * (len(tracker.predictor.chunks) - 1) == frames


@pytest.mark.slow
def test_cotracker3_online_backwards_for_later_points(clone, tmp_path):
    path = save(tmp_path, "scaled_online.pth", {"weight": torch.zeros(2, 2), "bias": torch.zeros(2)})
    queries = np.array([[30, 80.0, 50.0], [0, 40.0, 60.0]])
    found = track(one_way_video(), queries, tracker=load_tracker("cotracker3", checkpoint=path, code=clone))
    np.testing.assert_allclose(found.points, expected(queries), atol=1e-3)
    assert found.visible[30, 0]


def test_code_and_checkpoint_from_the_environment(clone, tmp_path, monkeypatch):
    path = save(tmp_path, "tapnext.pt", linear("lin_proj"))
    monkeypatch.setenv("MOTIONLOOM_TRACKER_CODE", str(clone))
    monkeypatch.setenv("MOTIONLOOM_TRACKER_CHECKPOINT", str(path))
    assert load_tracker("tapnext").name == "tapnext"
    assert track(video()[:3], QUERIES[:1], tracker="tapnext").visible.all()


def test_what_is_missing_is_named(clone, tmp_path):
    with pytest.raises(MissingDependencyError, match=r"clone https://github.com/google-deepmind/tapnet \(Apache-2.0\)"):
        load_tracker("tapir", checkpoint=tmp_path / "a.pt")
    with pytest.raises(MissingDependencyError, match="holds no folder 'cotracker'"):
        load_tracker("cotracker3", code=tmp_path)
    with pytest.raises(CheckpointError, match=r"scaled_offline.pth .* from https://huggingface.co/facebook/cotracker3"):
        load_tracker("cotracker3", code=clone)
    with pytest.raises(CheckpointError, match=r"none.pt: no such file, expected bootstapir_checkpoint_v2.pt"):
        load_tracker("tapir", code=clone, checkpoint=tmp_path / "none.pt")


def test_a_package_its_code_lacks_is_named(clone, tmp_path):
    (clone / "tapnet" / "torch" / "tapir_model.py").write_text("import no_such_package_anywhere\n")
    with pytest.raises(MissingDependencyError, match="needs the package 'no_such_package_anywhere'"):
        load_tracker("tapir", code=clone, checkpoint=tmp_path / "none.pt")


def test_weights_that_do_not_fit_are_refused(clone, tmp_path):
    wrong = save(tmp_path, "wrong.pt", {"lin_proj.weight": torch.zeros(3, 2), "more": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"1 missing \(lin_proj.bias\); 1 unexpected \(more\); 1 of an"):
        load_tracker("tapnext", code=clone, checkpoint=wrong)
    with pytest.raises(CheckpointError, match="not a checkpoint of TAPIR"):
        load_tracker("tapir", code=clone, checkpoint=wrong)
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(CheckpointError, match=r"text.pt: not a file of torch weights"):
        load_tracker("tapnext", code=clone, checkpoint=tmp_path / "text.pt")


def test_the_list_says_what_each_needs():
    cards = {card.name: card for card in list_trackers()}
    assert list(cards) == ["offline", "tapir", "tapnext", "cotracker3"]
    assert [card.commercial for card in cards.values()] == [True, True, True, False]
    assert cards["offline"].files == ()
    assert "scaled_online.pth" in cards["cotracker3"].files
    with pytest.raises(InputError, match="found 'pips', expected offline, tapir"):
        load_tracker("pips")
    with pytest.raises(InputError, match="checkpoint: the tracker 'offline' has none"):
        load_tracker("offline", checkpoint="a.pt")
