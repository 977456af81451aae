from __future__ import annotations

import numpy as np
import pytest
import torch
from slides import FPS, sliding
from tiny_encoders import make_clip, make_dino

from motionloom.evaluate import features as maths
from motionloom.evaluate.evidence import Evidence, Tools
from motionloom.evaluate.networks.clip import ClipEncoder
from motionloom.evaluate.networks.dino import DinoEncoder
from motionloom.evaluate.sample import Sample
from motionloom.evaluate.suite import METRICS, measure
from motionloom.evaluate.suite.features import METRICS as FEATURES
from motionloom.evaluate.suite.looks import _KEPT
from motionloom.media import Clip

NAMES = tuple(metric.name for metric in FEATURES)
FALLBACKS = ("clip_i_temporal_fallback_hist", "clip_i_fallback_hist")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("networks")
    torch.save({"weight": torch.linspace(-1, 1, 768)[None], "bias": torch.tensor([5.0])}, root / "head.pth")
    return {
        "clip-vit-base-patch32": make_clip(root / "base"),
        "clip-vit-large-patch14": make_clip(root / "large", projection=768),
        "dino-vitb16": make_dino(root / "dino"),
        "laion-aesthetic": root / "head.pth",
    }


@pytest.fixture(scope="module")
def tools(folders) -> Tools:
    return Tools(weights=folders)


@pytest.fixture
def video(picture) -> np.ndarray:
    return sliding(picture, 3, frames=20)


def values(sample: Sample, tools: Tools, *names: str):
    return {each.name: each for each in measure(sample, tools, metrics=list(names or NAMES))}


@pytest.mark.slow
def test_with_all_weights_every_number_is_what_its_formula_gives(video, picture, folders, tools):
    true = sliding(picture, 2, frames=20)
    sample = Sample("a", Clip(video, FPS), prompt="a cat", first_image=picture, reference=Clip(true, FPS))
    found = values(sample, tools)
    assert all(each.value is not None for each in found.values())
    base, large = (ClipEncoder(folders[f"clip-vit-{name}"]) for name in ("base-patch32", "large-patch14"))
    dino = DinoEncoder(folders["dino-vitb16"])
    f = base.images(video)
    temporal = maths.clip_i_temporal(f[maths.sampled_frames(20)])
    text = maths.text_similarity(f, base.texts(["a cat"])[0])
    head = torch.load(folders["laion-aesthetic"], weights_only=True)
    expected = {
        "clip_i_temporal": temporal["frame_acc"],
        "clip_i_temporal_first_last": temporal["first_last"],
        "clip_i_temporal_global_avg": temporal["global_avg"],
        "clip_i_temporal_global_avg_without_first": temporal["global_avg_without_first"],
        "clip_i": maths.frame_similarity(large.images(video), large.images(true))[0],
        "clipsim": text[0],
        "clip_text": 100 * text[0],
        "clip_smooth": 100 * maths.smoothness(f),
        "clip_domain": 100 * maths.domain_similarity(f, base.images(picture[None]))[0],
        "subject_consistency": maths.consistency(dino.images(video))[0],
        "subject_consistency_cr": maths.consistency(dino.images(video[maths.sampled_frames(20)], "crop"))[0],
        "background_consistency": maths.consistency(base.images(video, "vbench"))[0],
        "aesthetic": maths.aesthetic(large.images(video, "vbench"), head["weight"].numpy(), 5.0)[0],
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=1e-5), name
        assert found[name].weights is not None, name
        assert not found[name].fallback
    assert set(found) - set(expected) == {name for name in found if "_fallback_hist" in name}
    assert len(found["clipsim"].curve) == len(found["subject_consistency"].curve) == 20
    assert found["subject_consistency"].curve[0] is None
    assert found["subject_consistency"].n == 19
    assert found["aesthetic"].weights.name == "clip-vit-large-patch14+laion-aesthetic"


def test_a_network_looks_once(video, folders, monkeypatch):
    calls = []
    look = ClipEncoder.images
    monkeypatch.setattr(
        ClipEncoder, "images", lambda self, block, *how: calls.append(len(block)) or look(self, block, *how)
    )
    sample = Sample("a", Clip(video, FPS), prompt="a cat")
    values(sample, Tools(weights=folders), "clipsim", "clip_smooth", "clip_i_temporal")
    assert calls == [20]


def test_without_weights_each_says_which_and_the_offline_ones_still_run(video, monkeypatch, tmp_path):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    sample = Sample("a", Clip(video, FPS), prompt="a cat", reference=Clip(video, FPS))
    found = values(sample, Tools())
    for name, each in found.items():
        if "_fallback_hist" in name:
            assert each.value is not None
            assert each.fallback
            assert "not comparable with any CLIP number" in each.variant
        else:
            assert each.value is None
            assert "--weights" in each.reason
    assert found["clip_i_fallback_hist"].value == pytest.approx(1)
    assert "openai/clip-vit-large-patch14" in found["clip_i"].reason


def test_colours_over_time(picture):
    frames = np.repeat(picture[None], 20, 0)
    still = values(Sample("a", Clip(frames, FPS)), Tools(), "clip_i_temporal_fallback_hist")
    assert [each.value for each in still.values()] == pytest.approx([1] * 4)
    frames[10:] = 255 - frames[10:]
    turned = values(Sample("a", Clip(frames, FPS)), Tools(), "clip_i_temporal_fallback_hist")
    step = maths.colour_histograms(frames[9:11])
    # One of the 15 steps between 16 samples changes.
    expected = (14 + float(step[0] @ step[1])) / 15
    assert turned["clip_i_temporal_fallback_hist"].value == pytest.approx(expected)
    assert turned["clip_i_temporal_fallback_hist_first_last"].value == pytest.approx(float(step[0] @ step[1]))


def test_a_video_of_one_frame(picture, tools):
    sample = Sample(
        "a", Clip(picture[None], FPS), prompt="a cat", first_image=picture, reference=Clip(picture[None], FPS)
    )
    found = values(sample, tools)
    with_value = {name for name, each in found.items() if each.value is not None}
    assert with_value == {"clip_i", "clip_i_fallback_hist", "clipsim", "clip_text", "clip_domain", "aesthetic"}
    for name in set(found) - with_value:
        assert found[name].reason == "the video has one frame"
        assert found[name].curve is None
    assert found["clip_i"].value == pytest.approx(1)


def test_another_number_of_true_frames(video, tools):
    sample = Sample("a", Clip(video, FPS), reference=Clip(video[:7], FPS))
    found = values(sample, tools, *FALLBACKS, "clip_i")
    for name in ("clip_i", "clip_i_fallback_hist"):
        assert found[name].value is None
        assert "found 7 frames, expected 20" in found[name].reason


def test_features_outlive_no_sample(video, tools):
    before = len(_KEPT)
    evidence = Evidence(Sample("a", Clip(video, FPS)), tools)
    METRICS["clip_smooth"].compute(evidence)
    assert len(_KEPT) == before + 1
    del evidence
    assert len(_KEPT) == before
