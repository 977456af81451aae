"""From a base and a folder of videos to an adapter that loads; what is refused before hours of it."""

import runpy
from pathlib import Path

import pytest
import torch

from motionloom.errors import InputError
from motionloom.train.tora.folder_training import encode_captions, train_on_folder

tiny = runpy.run_path(str(Path(__file__).parents[2] / "methods" / "tora" / "tiny.py"))


def test_captions_without_text_encoder_are_zeros():
    assert {k: (v.shape, float(v.abs().max())) for k, v in encode_captions(tiny["i2v"]("i2v"), ["a", "a"]).items()} == {
        "": (torch.Size([4, 8]), 0.0),
        "a": (torch.Size([4, 8]), 0.0),
    }


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"design": "foo"}, "design: found 'foo'"),
        ({"camera": "moving"}, "camera: found 'moving'"),
        ({"size": (40, 32)}, "size: found 32x40, expected multiples of 16"),
        ({"kind": "learned", "size": (64, 64)}, "size: found 64x64, expected 32x32"),
    ],
)
def test_refuses_what_the_base_cannot_have(folder, tmp_path, changes, match):
    tiny["i2v"](changes.pop("kind", "i2v")).save_pretrained(tmp_path / "base")
    with pytest.raises(InputError, match=match):
        train_on_folder(tmp_path / "out", folder, tmp_path / "base", steps=1, device="cpu", **changes)


@pytest.mark.parametrize("kind", ["i2v", "t2v"])
@pytest.mark.slow
def test_trains_from_a_folder_of_videos_and_loads(folder, tmp_path, kind):
    from motionloom.models.loading import load

    tiny[kind](kind).save_pretrained(tmp_path / "base")
    told = []
    trained = train_on_folder(
        tmp_path / "out", folder, tmp_path / "base", steps=1, size=(32, 32), device="cpu", on_progress=told.append,
        motion_vae=tiny["vae"]() if kind == "i2v" else None,
    )  # fmt: skip
    assert [facts["stage"] for facts in told] == ["dense", "sparse"]
    model = load(trained, base=tmp_path / "base")
    assert model.method == "tora"
    assert (trained / "motion_vae" / "config.json").exists() == (kind == "i2v")
