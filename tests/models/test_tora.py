from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler, CogVideoXPipeline
from transformers import T5Config, T5EncoderModel

from motionloom.errors import InputError
from motionloom.methods.tora.pipeline import ToraPipeline
from motionloom.models import preview_frames
from motionloom.models.card import ModelCard
from motionloom.models.clip_shape import ClipShape, shape_of_card
from motionloom.models.tora import ToraModel
from motionloom.tracks.tracks import Tracks

_tiny = runpy.run_path(str(Path(__file__).parents[1] / "methods" / "tora" / "tiny.py"))
PICTURE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


def make_card(**changes: Any) -> ModelCard:
    known: dict[str, Any] = {
        "name": "tiny-tora",
        "title": "",
        "description": "",
        "licence": "",
        "commercial_use": None,
        "methods": ("tora",),
        "num_frames": 9,
        "fps": 8.0,
        "default_steps": 3,
    }
    return ModelCard(**{**known, **changes})


def make_tracks(frames: int = 9, count: int = 2) -> Tracks:
    """To the right, on a canvas of 60 x 40."""
    points = np.float32([[10, 10], [20, 30]])[:count] + np.linspace((0, 0), (30, 0), frames)[:, None]
    return Tracks(points.astype(np.float32), np.ones(points.shape[:2], np.bool_), (40, 60), 8.0)


def make_model(kind: str = "t2v", **changes: Any) -> ToraModel:
    pipeline = _tiny["t2v" if kind in ("t2v", "sincos") else "i2v"](kind)
    adapter = _tiny["adapter"](pipeline.transformer)
    return ToraModel(pipeline, adapter, make_card(), name="tiny", digest="0" * 64, **changes)


@pytest.fixture(scope="module")
def t2v() -> ToraModel:
    return make_model()


@pytest.fixture(scope="module")
def i2v() -> ToraModel:
    return make_model("learned")


def test_text_to_video_needs_no_photograph(t2v):
    progress: list[tuple[int, int]] = []
    clip = t2v.generate(None, make_tracks(), seed=3, on_progress=lambda *at: progress.append(at))
    assert clip.frames.shape == (9, 32, 32, 3)
    assert clip.fps == 8.0
    assert progress == [(step, 3) for step in range(4)]
    assert np.array_equal(t2v.generate(None, make_tracks(), seed=3).frames, clip.frames)
    base = t2v.generate(None, None, seed=3).frames
    assert not np.array_equal(base, clip.frames)
    for still in ({"strength": 0.0}, {"window": (0.2, 0.2)}):
        assert np.array_equal(t2v.generate(None, make_tracks(), seed=3, **still).frames, base)
    assert clip.provenance["details"]["tracks_seen"] == 2
    assert clip.provenance["parameters"]["method"] == "tora"
    assert clip.provenance["parameters"]["prompt"] is None


def test_a_photograph_is_only_the_canvas_of_text_to_video(t2v):
    with pytest.warns(UserWarning, match="only the shape is used"):
        clip = t2v.generate(PICTURE, make_tracks(), seed=3)
    assert np.array_equal(clip.frames, t2v.generate(None, make_tracks(), seed=3).frames)


def test_image_to_video_starts_from_a_photograph(i2v):
    with pytest.raises(InputError, match="image: missing"):
        i2v.generate(None, make_tracks())
    clip = i2v.generate(PICTURE, make_tracks(), seed=3)
    assert clip.frames.shape == (9, 32, 32, 3)
    assert not np.array_equal(clip.frames, i2v.generate(PICTURE, None, seed=3).frames)
    assert not np.array_equal(clip.frames, i2v.generate(255 - PICTURE, make_tracks(), seed=3).frames)


def test_it_does_what_the_pipeline_does(t2v):
    tracks = make_tracks()
    text = torch.zeros(1, 4, 8)
    pipeline = ToraPipeline(**t2v.pipeline.components)
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        prompt_embeds=text,
        negative_prompt_embeds=text,
        height=32,
        width=32,
        num_frames=9,
        num_inference_steps=3,
        guidance_scale=6.0,
        use_dynamic_cfg=True,
        generator=torch.Generator().manual_seed(5),
        output_type="np",
        tracks=tracks,
        strength=0.5,
    ).frames[0]
    found = t2v.generate(None, tracks, seed=5, strength=0.5).frames
    assert np.array_equal(found, np.round(expected * 255).astype(np.uint8))


def test_the_published_program_is_the_default():
    published, plain = make_model(), make_model(settings="diffusers")
    assert isinstance(published.pipeline.scheduler, CogVideoXDPMScheduler)
    assert published.pipeline.scheduler.config["timestep_spacing"] == "trailing"
    assert isinstance(plain.pipeline.scheduler, CogVideoXDDIMScheduler)
    assert published.generate(None, None).provenance["details"]["use_dynamic_cfg"] is True
    assert plain.generate(None, None).provenance["details"]["use_dynamic_cfg"] is False


@pytest.mark.parametrize(("asked", "made"), [(1, 1), (2, 5), (6, 9), (9, 9), (12, 13)])
def test_any_number_of_frames_is_cut_from_whole_latents(t2v, monkeypatch, asked, made):
    found: list[int] = []
    stock = ToraPipeline.__call__

    def noting(self: Any, **kwargs: Any) -> Any:
        found.append(kwargs["num_frames"])
        assert kwargs["tracks"].num_frames == made
        return stock(self, **kwargs)

    monkeypatch.setattr(ToraPipeline, "__call__", noting)
    assert t2v.generate(None, make_tracks(), num_frames=asked).num_frames == asked
    assert found == [made]


def test_image_to_video_of_one_length_makes_that_one_or_windows_of_it(i2v):
    short = i2v.generate(PICTURE, make_tracks(5), num_frames=5)
    assert short.num_frames == 5
    assert "windows" not in short.provenance["details"]
    long = i2v.generate(PICTURE, make_tracks(), num_frames=24, options={"window_overlap": 4})
    assert long.num_frames == 24
    assert long.provenance["details"]["windows"] == 3  # of three latents, of which one is shared, for seven in all


@pytest.mark.slow
def test_a_clip_of_204_frames(t2v):
    options: dict[str, Any] = {"size": (16, 16), "num_inference_steps": 1, "guidance_scale": 1.0}
    clip = t2v.generate(None, make_tracks(51), num_frames=204, **options)
    assert clip.num_frames == 204
    assert clip.provenance["details"]["windows"] > 20
    unmoved = t2v.generate(None, None, num_frames=204, **options)
    differs = (clip.frames != unmoved.frames).any(axis=(1, 2, 3))
    assert differs[::4].mean() > 0.9  # the motion goes on to the end


def test_learnt_positions_are_for_windows_of_one_length(i2v):
    for frames in (5, 17):
        with pytest.raises(InputError, match=f"window_frames: found {frames}, but tiny has learnt .* for 9 frames"):
            i2v.generate(PICTURE, make_tracks(), num_frames=17, options={"window_frames": frames})
        options: dict[str, Any] = {"window_frames": frames, "position_table": "sat"}
        assert i2v.generate(PICTURE, make_tracks(), num_frames=17, options=options).num_frames == 17
    assert i2v.generate(PICTURE, make_tracks(), num_frames=17, options={"window_frames": 9}).num_frames == 17


def test_sizes_that_the_base_allows(t2v, i2v):
    assert t2v.generate(None, None, size=(48, 16)).frames.shape[1:3] == (48, 16)
    with pytest.raises(InputError, match="multiples of 16"):
        t2v.generate(None, None, size=(40, 16))
    with pytest.raises(InputError, match="found 48x32, expected 32x32"):
        i2v.generate(PICTURE, None, size=(32, 48))


def test_shapes_known_from_the_card():
    """The size that the checkpoints were trained at is the default, whatever the canvas."""
    for architecture, one_size in (("cogvideox-5b", False), ("cogvideox-5b-i2v", True)):
        shape = shape_of_card(make_card(architecture=architecture, native_size=(480, 720)))
        assert isinstance(shape, ClipShape)
        assert shape.default_size((512, 512)) == (480, 720)
        assert shape.one_size == one_size
        assert shape.legal_frames(204) == 204
        assert shape.whole_latents(204) == 205


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"last_image": PICTURE}, "last_image: tiny starts from no photograph"),
        ({"guidance_scale_2": 3.0}, "one expert"),
        ({"shift": 3.0}, "shift: is for the Wan models"),
        ({"solver": "unipc"}, "solver: is for the Wan models"),
        ({"options": {"temperature": 1.0}}, "knows no 'temperature', expected one of dynamic_guidance, flow_norm"),
        ({"options": {"flow": 1.0}}, "knows no 'flow'"),
        ({"options": {"window_frames": 5.5}}, "window_frames: found 5.5, expected a whole number"),
        ({"options": {"window_frames": 5, "window_overlap": 9}}, "window_overlap: found 9, expected 0 to 4 frames"),
        ({"options": {"negative": "nothing"}}, "negative: found 'nothing'"),
        ({"strength": -1.0}, "strength"),
    ],
)
def test_what_it_has_no_use_for_is_refused(t2v, wrong, message):
    with pytest.raises(InputError, match=message):
        t2v.generate(None, make_tracks(), **wrong)


def test_options_of_text_and_image_to_video(t2v, i2v, monkeypatch):
    found: dict[str, Any] = {}
    monkeypatch.setattr(ToraPipeline, "encode_prompt", _noting(ToraPipeline.encode_prompt, found))
    t2v.generate(None, None, options={"dynamic_guidance": "legacy", "negative": "zero"})
    assert (found["dynamic"], found["zero_negative"]) == ("legacy", True)
    t2v.generate(None, None)
    assert (found["dynamic"], found["zero_negative"]) == ("steps", False)
    assert set(i2v._known_options()) - set(t2v._known_options()) == {"position_table"}
    base = i2v.generate(PICTURE, None)
    without_table = i2v.generate(PICTURE, None, options={"position_table": "sat"})
    assert not np.array_equal(base.frames, without_table.frames)
    assert without_table.provenance["parameters"]["options"] == {"position_table": "sat"}


def test_without_a_text_encoder_a_prompt_is_ignored(t2v):
    with pytest.warns(UserWarning, match="no text encoder: the prompt is ignored"):
        t2v.generate(None, None, prompt="a cat")


class Words:
    """A tokenizer of 40 words, in as much of its interface as the pipeline uses."""

    def __call__(self, prompt: Any, padding: str, max_length: int | None = None, **_: Any) -> Any:
        texts = [prompt] if isinstance(prompt, str) else prompt
        ids = torch.zeros(len(texts), max_length or 1, dtype=torch.long)
        for row, text in enumerate(texts):
            found = [sum(map(ord, word)) % 39 + 1 for word in text.split()][: ids.shape[1]]
            ids[row, : len(found)] = torch.tensor(found, dtype=torch.long)
        return SimpleNamespace(input_ids=ids)


def test_with_a_text_encoder():
    torch.manual_seed(5)
    encoder = T5EncoderModel(T5Config(vocab_size=40, d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2)).eval()
    pipeline = CogVideoXPipeline(**{**_tiny["components"]("t2v"), "tokenizer": Words(), "text_encoder": encoder})
    made = ToraModel(pipeline, _tiny["adapter"](pipeline.transformer), make_card(), name="tiny", digest="")
    with pytest.raises(InputError, match="prompt: missing"):
        made.generate(None, make_tracks())
    with pytest.raises(InputError, match='negative_prompt: is not read with negative="zero"'):
        made.generate(None, None, prompt="a cat", negative_prompt="dogs", options={"negative": "zero"})
    cat = made.generate(None, make_tracks(), prompt="a cat")
    assert cat.provenance["parameters"]["prompt"] == "a cat"
    others = [{"prompt": "a dog"}, {"negative_prompt": "dogs"}, {"options": {"negative": "zero"}}]
    for changes in [*others, {"options": {"dynamic_guidance": "legacy"}}]:
        clip = made.generate(None, make_tracks(), **{"prompt": "a cat", **changes})
        assert not np.array_equal(clip.frames, cat.frames), changes


def test_pipelines_that_do_not_fit_are_refused():
    pipeline = _tiny["t2v"]()
    adapter = _tiny["adapter"](_tiny["transformer"](layers=1))
    with pytest.raises(InputError, match="this adapter is for"):
        ToraModel(pipeline, adapter, make_card(), name="tiny", digest="")
    with pytest.raises(InputError, match="found a dict, expected a CogVideoXPipeline"):
        ToraModel({}, adapter, make_card(), name="tiny", digest="")


def test_the_base_pipeline_is_left_as_it_was():
    pipeline = _tiny["t2v"]()
    before, scheduler = pipeline(**_tiny["inputs"]()).frames, pipeline.scheduler
    made = ToraModel(pipeline, _tiny["adapter"](pipeline.transformer), make_card(), name="tiny", digest="")
    made.generate(None, make_tracks(), num_frames=17)
    assert pipeline.scheduler is scheduler
    assert torch.equal(pipeline(**_tiny["inputs"]()).frames, before)


def test_seeds_and_densified_motion(t2v):
    clips = t2v.generate_videos(None, make_tracks(), num_videos_per_prompt=2, seed=3)
    assert np.array_equal(clips[1].frames, t2v.generate(None, make_tracks(), seed=4).frames)
    dense = t2v.generate(None, make_tracks(), seed=3, densify=True)
    assert dense.provenance["details"]["tracks_seen"] == 1  # one point for every 32 pixels
    assert not np.array_equal(dense.frames, clips[0].frames)


@pytest.mark.parametrize(("kind", "frames"), [("t2v", 9), ("learned", 9), ("t2v", 17)])
@pytest.mark.slow
def test_a_look_at_the_clip_changes_nothing(t2v, i2v, kind, frames, monkeypatch):
    monkeypatch.setattr(preview_frames, "SECONDS_BETWEEN", 0.0)
    model, picture = (t2v, None) if kind == "t2v" else (i2v, PICTURE)
    shown: list[Any] = []
    for order in ("joint", "sequential")[: 1 if frames == 9 else 2]:
        options = {"window_order": order, "window_overlap": 4}
        plain = model.generate(picture, make_tracks(), num_frames=frames, options=options)
        looked = model.generate(picture, make_tracks(), num_frames=frames, options=options, on_preview=shown.append)
        assert np.array_equal(plain.frames, looked.frames)
        assert "step" not in vars(model.pipeline.scheduler)
    assert all(frame.shape == (4, 4, 3) for frame in shown)
    assert len(shown) == (3 if frames == 9 else 9)


def test_the_look_shows_the_clean_clip_in_its_colours(t2v, monkeypatch):
    """A chart of colours through the VAE tells what its latents look like."""
    pipeline = t2v.pipeline
    monkeypatch.setattr(preview_frames, "SECONDS_BETWEEN", 0.0)
    colours = np.linspace(-1, 1, 16, dtype=np.float32).reshape(4, 4)

    class Averages:
        """Codes the mean of every 8 x 8 pixels: red, green, blue, and nothing."""

        dtype = torch.float32

        class config:
            scaling_factor = 0.5

        def encode(self, pixels: torch.Tensor) -> Any:
            cells = torch.nn.functional.avg_pool3d(pixels, (1, 8, 8))
            cells = torch.cat([cells, cells[:, :1] * 0], 1)
            return type("Coded", (), {"latent_dist": type("Found", (), {"mode": lambda self: cells})()})

    shown: list[Any] = []
    clean = torch.from_numpy(np.stack([colours, -colours, colours.T, colours * 0])) * 0.5
    latents = clean.expand(1, 3, 4, 4, 4)
    request = type("Request", (), {"image": None, "on_preview": staticmethod(shown.append)})()
    stand_in = type("Pipeline", (), {})()
    stand_in.vae, stand_in.transformer, stand_in.scheduler = Averages(), pipeline.transformer, pipeline.scheduler
    frames = preview_frames.PreviewFrames(stand_in, request)
    frames.start(torch.randn(latents.shape))
    frames.listen((torch.randn(latents.shape), latents))
    frames.after_step(0, torch.randn(latents.shape))
    frames.listen((torch.randn(1, 2, 4, 4, 4), latents[:, :2]))  # of a window
    monkeypatch.setattr(frames, "_due", 0.0)
    frames.after_step(1, torch.randn(latents.shape))
    expected = np.stack([colours, -colours, colours.T], -1) * 127.5 + 127.5
    assert len(shown) == 2
    for frame in shown:
        assert np.abs(frame - expected).max() <= 4


def test_a_run_that_its_plan_has_no_memory_for_is_refused(monkeypatch):
    from motionloom.models.memory_plans import Budget, Plan

    made = make_model()
    made.plan = Plan("balanced")
    monkeypatch.setattr(Budget, "measure", lambda *_, **__: Budget(None, None, 1000, 0))
    with pytest.raises(InputError, match=r"memory: balanced needs .* for 32x32, 41 frames in windows of 9 \("):
        made.generate(None, make_tracks(), num_frames=41)
    with pytest.raises(InputError, match=r"memory: balanced needs .* for 32x32, 41 frames in windows of 5 \("):
        made.generate(None, make_tracks(), num_frames=41, options={"window_frames": 5})


def _noting(stock: Any, found: dict[str, Any]) -> Any:
    def noting(self: Any, *args: Any, **kwargs: Any) -> Any:
        found.update(vars(self._run))
        return stock(self, *args, **kwargs)

    return noting
