from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from motionloom.errors import CheckpointError, InputError
from motionloom.models import catalog_files, store
from motionloom.models.catalog import find_model, list_models

NAMES = [
    "warp",
    "nano",
    "ati-14b",
    "ati-14b-fp8",
    "wan-move-14b",
    "wan-move-14b-fp8",
    "tora-t2v",
    "tora-i2v",
    "tora-t2v-addon",
    "tora-i2v-sat",
    "wan2.1-i2v-14b-480p",
    "wan2.1-i2v-14b-720p",
    "wan2.2-i2v-a14b",
    "circle-rotate",
    "wan2.2-ti2v-5b",
    "cogvideox-5b-i2v",
]


@pytest.fixture(autouse=True)
def empty_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path / "models"))


def test_names_and_aliases_are_unique():
    cards = list_models()
    assert [card.name for card in cards] == NAMES
    every = [name for card in cards for name in (card.name, *card.aliases)]
    assert len(every) == len(set(every))
    assert all(name == name.lower() for name in every)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("ati", "ati-14b"),
        ("ATI", "ati-14b"),
        ("Wan-Move", "wan-move-14b"),
        ("wan_move", "wan-move-14b"),
        (" nano ", "nano"),
        ("A14B", "wan2.2-i2v-a14b"),
        ("circle_rotate", "circle-rotate"),
        ("ti2v-5b", "wan2.2-ti2v-5b"),
    ],
)
def test_names_in_any_case_and_aliases(asked, found):
    assert find_model(asked).name == found


@pytest.mark.parametrize(
    ("asked", "close"),
    [("atl-14b", "ati-14b"), ("wanmov", "wan-move-14b"), ("circle-rotat", "circle-rotate"), ("nanoo", "nano")],
)
def test_unknown_names_are_answered_with_close_ones(asked, close):
    with pytest.raises(InputError, match=rf"found '{asked}', expected one of warp, nano, .*; did you mean .*{close}"):
        find_model(asked)


def test_a_name_like_no_other_gets_no_guess():
    with pytest.raises(InputError) as caught:
        find_model("xyzzy")
    assert "did you mean" not in str(caught.value)


def test_cards_are_complete():
    for card in list_models():
        assert card.licence
        assert card.methods
        assert card.installed == (card.name in ("warp", "nano"))
        if card.name in ("warp", "nano"):
            continue
        assert card.sampling is not None
        assert card.default_steps == card.sampling.num_inference_steps
        assert card.architecture
        assert card.native_size
        assert card.num_frames
        assert card.num_frames % 4 == 1
        assert card.reads_text
        assert card.size_on_disk == sum(file.size for file in card.files)
        assert list(card.memory_by_preset) == ["max-speed", "balanced", "low", "minimal"]
        needed = list(card.memory_by_preset.values())
        assert needed == sorted(needed, reverse=True)
        assert card.notes, "what is not established, or what to expect, is said"


def test_files_can_be_written_and_checked():
    for card in list_models():
        places = [(file.repo, file.path) for file in card.files]
        assert len(places) == len(set(places))
        for file in card.files:
            store.local_path(file.repo, file.path)
            assert file.size > 0
            assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert not (file.sha256 and file.about), "what has a checksum has a size"
        parts = {file.part for file in card.files}
        if parts:
            assert {"transformer", "vae", "text_encoder", "tokenizer"} <= parts
        if card.architecture == "wan2.1-i2v-14b":
            assert "image_encoder" in parts
        if card.architecture == "wan2.2-i2v-a14b":
            assert "transformer_2" in parts
            assert "image_encoder" not in parts


def test_shards_hold_the_published_weights():
    """Bytes of all shards = bytes of the tensors of the manifests, plus each shard's header."""

    def weights(files, part):
        return [file for file in files if file.part == part and file.path.endswith(".safetensors")]

    for files, part, count, parameters, width in (
        (catalog_files.wan21_i2v_480p(), "transformer", 7, 16_394_878_784, 4),
        (catalog_files.wan21_i2v_720p(), "transformer", 7, 16_394_878_784, 4),
        (catalog_files.wan22_i2v(), "transformer", 6, 14_288_901_184, 4),
        (catalog_files.wan22_i2v(), "transformer_2", 6, 14_288_901_184, 4),
        (catalog_files.wan22_ti2v_5b(), "text_encoder", 3, 5_680_910_336, 2),
        # Its learned positions, 17 776 tokens of 3072, are stored as a buffer.
        (catalog_files.cogvideox_i2v(), "transformer", 3, 5_570_479_680 + 17_776 * 3072, 2),
        (catalog_files.cogvideox_i2v(), "vae", 1, 215_583_907, 4),
    ):
        shards = weights(files, part)
        assert len(shards) == count
        extra = sum(file.size for file in shards) - parameters * width
        assert 0 < extra < 400_000, (part, extra)
    (vae,) = [file for file in catalog_files.wan21_i2v_480p() if file.part == "vae"]
    assert 0 < vae.size - 126_892_531 * 4 < 100_000
    (fp8,) = [file for file in catalog_files.wan_move_fp8() if file.part == "transformer"]
    assert 0 < fp8.size - 16_394_878_784 < 20_000_000, "one byte per weight, and scales"


def test_defaults_of_the_published_programs():
    ati, move = find_model("ati").sampling, find_model("wan-move").sampling
    assert ati
    assert move
    assert (ati.num_inference_steps, ati.guidance_scale, ati.shift_at((480, 832)), ati.solver) == (
        40,
        5.0,
        5.0,
        "unipc",
    )
    assert (move.shift_at((480, 832)), move.shift_at((720, 1280))) == (3.0, 5.0)
    assert ati.negative_prompt.startswith("镜头晃动，色调艳丽，过曝，静态，")
    assert ati.negative_prompt.endswith("三条腿，背景人很多，倒着走")
    assert ati.negative_prompt.count("，") == 28
    a14b = find_model("wan2.2").sampling
    assert a14b
    assert (a14b.guidance_scale, a14b.guidance_scale_2, a14b.shift_at((480, 832))) == (3.5, 3.5, 5.0)
    assert a14b.negative_prompt == ati.negative_prompt.removeprefix("镜头晃动，")
    orbit = find_model("circle-rotate").sampling
    assert orbit
    assert (orbit.solver, orbit.num_inference_steps, orbit.shift, orbit.guidance_scale) == ("euler", 4, 8.0, 1.6)
    assert orbit.steps_are_fixed
    small = find_model("wan2.2-5b")
    assert (small.native_size, small.num_frames, small.fps, small.default_steps) == ((704, 1280), 121, 24.0, 50)


def test_licences():
    assert find_model("cogvideox").commercial_use is False
    assert find_model("circle-rotate").commercial_use is None
    assert find_model("ati").commercial_use is True


def test_what_is_not_on_the_disk_says_how_to_get_it(tmp_path):
    card = find_model("ati-fp8")
    with pytest.raises(CheckpointError) as caught:
        store.local_files(card)
    text = " ".join(str(caught.value).split())
    assert text.startswith("ati-14b-fp8: 8 of its 8 files are not on this disk (33.8 GB).")
    assert "Fetch them with: motionloom models fetch ati-14b-fp8" in text
    assert (
        f"Kijai/WanVideo_comfy -> {tmp_path}/models/Kijai--WanVideo_comfy/: "
        "Wan2_1-I2V-ATI-14B_fp8_e4m3fn.safetensors (17.1 GB)"
    ) in text


def test_the_catalogue_loads_nothing_heavy():
    code = (
        "import sys; from motionloom.models.catalog import list_models; list_models(); "
        "print([name for name in ('torch', 'diffusers', 'huggingface_hub', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_table_of_the_documentation_is_the_catalogues():
    docs = Path(__file__).parents[2] / "docs"
    made = runpy.run_path(str(docs / "make_tables.py"))
    page = (docs / "models.md").read_text(encoding="utf-8")
    assert made["page_with_tables"](page, [made["models"]]) == page, "run python docs/make_tables.py"
    for name in NAMES[2:]:
        assert f"| `{name}` |" in page


def test_limits_are_where_authors_and_users_say_that_motion_fails():
    cards = {card.name: card for card in list_models()}
    for name in ("ati-14b", "ati-14b-fp8"):
        # Half the picture's width within two frames.
        assert (cards[name].limits.max_step, cards[name].limits.max_tracks) == (0.25, 20)
    assert cards["wan-move-14b-fp8"].limits.min_tracks == 2
    assert "ATI" in cards["ati-14b"].limits.source
    assert cards["wan2.1-i2v-14b-480p"].limits.max_step is None
