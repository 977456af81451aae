"""Plans by GPU, model and preset, and what is said of them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motionloom.errors import InputError
from motionloom.models.card import ModelCard
from motionloom.models.catalog import find_model
from motionloom.models.footprint import SHAPES, need_of, need_of_shape, shape_of
from motionloom.models.memory import (
    GIB,
    PRESETS,
    Budget,
    Plan,
    check,
    choose,
    disk_bytes,
    estimate,
    out_of_memory,
    peak_bytes,
    plan_for,
    plans_of,
    ram_bytes,
)

sys.path.append(str(Path(__file__).parent))
import tiny_words


@pytest.fixture
def make_pipeline():
    """make_pipeline(experts=1) -> a tiny Wan pipeline."""
    return tiny_words.make_pipeline


MODELS = {
    "14B": need_of_shape(SHAPES["wan2.1-i2v-14b"], (480, 832), 81),
    "A14B": need_of_shape(SHAPES["wan2.2-i2v-a14b"], (480, 832), 81),
    "5B": need_of_shape(SHAPES["wan2.2-ti2v-5b"], (704, 1280), 121),
}


def budget(gpu: float | None, ram: float = 128, disk: float = 500) -> Budget:
    """A machine in GiB; 0.6 GiB of the GPU are taken by the desktop."""
    free = None if gpu is None else int((gpu - 0.6) * GIB)
    return Budget(free, None if gpu is None else int(gpu * GIB), int(ram * GIB), int(disk * GIB), "a test GPU")


def words(plan: Plan) -> str:
    return f"{plan.preset} {plan.transformer_storage} {plan.offload}{' tiles' if plan.vae_tiling else ''}"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            "14B",
            {
                8: "minimal bf16 group tiles",
                12: "minimal bf16 group",
                16: "minimal bf16 group",
                24: "low fp8 model",
                40: "balanced bf16 model",
                80: "max-speed bf16 None",
                141: "max-speed bf16 None",
            },
        ),
        (
            "A14B",
            {
                8: "minimal bf16 group tiles",
                12: "minimal bf16 group",
                16: "minimal bf16 group",
                24: "low fp8 model",
                40: "balanced bf16 model",
                80: "max-speed bf16 None",
                141: "max-speed bf16 None",
            },
        ),
        (
            "5B",
            {
                12: "minimal bf16 group tiles",
                16: "low fp8 None tiles",
                24: "balanced bf16 None tiles",
                40: "balanced bf16 None",
                80: "max-speed bf16 None",
                141: "max-speed bf16 None",
            },
        ),
    ],
)
def test_auto_takes_the_first_preset_that_fits(model, expected):
    for gpu, wanted in expected.items():
        assert words(choose("auto", MODELS[model], budget(gpu))) == wanted, gpu


@pytest.mark.parametrize("gpu", [8, 12, 16, 24, 40, 80, 141, None])
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("model", MODELS)
def test_what_is_chosen_fits_and_says_so(model, preset, gpu):
    need, here = MODELS[model], budget(gpu)
    capacity = here.ram_free if gpu is None else here.gpu_free
    least = min(
        peak_bytes(plan, need, on_gpu=gpu is not None)
        for name in (PRESETS[1:] if preset == "auto" else [preset])
        for plan in plans_of(name, need, on_gpu=gpu is not None)
    )
    if least > capacity:
        with pytest.raises(InputError, match="what helps") as caught:
            choose(preset, need, here)
        assert f"{least / GIB:.1f} GiB of" in str(caught.value)
        assert f"{capacity / GIB:.1f} GiB free" in str(caught.value)
        return
    plan = choose(preset, need, here)
    assert plan.peak == peak_bytes(plan, need, on_gpu=gpu is not None) <= capacity
    assert preset in ("auto", plan.preset)
    assert "\n" not in plan.reason
    assert f"{plan.peak / GIB:.1f} GiB of {capacity / GIB:.1f} GiB free" in plan.reason


def test_the_two_experts_are_not_on_the_gpu_together_but_for_max_speed():
    need = MODELS["A14B"]
    both = 2 * need.transformer
    assert choose("max-speed", need, budget(141)).peak > both
    assert choose("balanced", need, budget(40)).offload == "model"
    assert choose("balanced", need, budget(40)).peak < both


def test_presets_need_less_and_less():
    for need in MODELS.values():
        least = [min(peak_bytes(plan, need) for plan in plans_of(preset, need)) for preset in PRESETS[1:]]
        assert least == sorted(least, reverse=True)
        assert len(set(least)) == 4


def test_minimal_keeps_the_weights_exact_while_ram_allows_then_fp8_then_disk():
    need = MODELS["A14B"]
    choices = {ram: choose("minimal", need, budget(16, ram=ram)) for ram in (80, 48, 32)}
    assert [words(plan) for plan in choices.values()] == [
        "minimal bf16 group",
        "minimal fp8 group",
        "minimal fp8 group+disk",
    ]
    assert all(ram_bytes(plan, need) <= ram * GIB for ram, plan in choices.items())
    assert disk_bytes(choices[32], need) == 2 * need.transformer_fp8 + need.encoders
    with pytest.raises(InputError, match=r"GiB of RAM \(32\.0 GiB free\) or .* GiB of disk \(20\.0 GiB free\)"):
        choose("minimal", need, budget(16, ram=32, disk=20))
    # Both experts pass through RAM on their way to the disk: with less, nothing is begun.
    assert ram_bytes(choices[32], need) > 2 * need.transformer_fp8
    with pytest.raises(InputError, match=r"of RAM \(16\.0 GiB free\).*a GGUF file of the transformer"):
        choose("minimal", need, budget(16, ram=16))


def test_without_a_gpu_everything_happens_in_ram():
    need = MODELS["14B"]
    plan = choose("auto", need, budget(None, ram=128))
    assert (plan.offload, plan.transformer_storage, plan.unload_text_encoder) == (None, "bf16", False)
    assert "RAM" in plan.reason
    assert choose("auto", need, budget(None, ram=40)).transformer_storage == "fp8"
    assert choose("auto", need, budget(None, ram=20)).offload == "group+disk"


def test_quantised_weights_are_not_stored_in_fp8_again():
    from dataclasses import replace

    need = replace(MODELS["14B"], transformer=MODELS["14B"].transformer_fp8)
    assert {plan.transformer_storage for preset in PRESETS[1:] for plan in plans_of(preset, need)} == {"bf16"}


def test_remedies_name_a_preset_that_fits_or_fewer_frames():
    with pytest.raises(InputError, match=r"--memory low \(\d+\.\d GiB\)"):
        choose("balanced", MODELS["14B"], budget(24))
    large = need_of_shape(SHAPES["wan2.1-i2v-14b"], (1088, 1920), 81)
    with pytest.raises(InputError, match=r"--frames \d+") as caught:
        choose("auto", large, budget(12))
    frames = int(str(caught.value).split("--frames ")[1].split(";")[0])
    assert frames % 4 == 1
    fewer = need_of_shape(SHAPES["wan2.1-i2v-14b"], (1088, 1920), frames)
    choose("auto", fewer, budget(12))
    with pytest.raises(InputError):
        choose("auto", need_of_shape(SHAPES["wan2.1-i2v-14b"], (1088, 1920), frames + 8), budget(12))


def test_unknown_preset():
    with pytest.raises(InputError, match=r"found 'fast', expected one of auto, max-speed, balanced, low, minimal"):
        choose("fast", MODELS["14B"], budget(80))


def test_a_larger_run_than_planned_for_is_refused_before_it_starts():
    here = budget(40)
    plan = choose("auto", MODELS["14B"], here)
    check(plan, MODELS["14B"], here)
    with pytest.raises(InputError, match=r"balanced needs .* for 1920x1088, 81 frames"):
        check(plan, need_of_shape(SHAPES["wan2.1-i2v-14b"], (1088, 1920), 81), here)


def test_a_run_counts_what_a_cache_keeps(make_pipeline, monkeypatch):
    """What fits without a step cache is refused with one, when it does not."""
    from motionloom.models import caches
    from motionloom.models.memory import fitting

    pipe = make_pipeline()
    size, frames = (2048, 2048), 81
    need = need_of(pipe, size, frames)
    # Little else than the transformer's pass: the cache's share of it decides.
    monkeypatch.setattr("motionloom.models.memory.need_of", lambda *a, **k: replace(need_of(*a, **k), decode=0))
    plan = Plan("max-speed", unload_text_encoder=False, vae_slicing=False)
    room = peak_bytes(plan, replace(need, decode=0), on_gpu=False)
    monkeypatch.setattr(Budget, "measure", lambda *_, **__: Budget(None, None, room, 0))
    with fitting(plan, pipe, size, frames):
        pass
    caches.enable(pipe, caches.CacheOptions("first-block"))
    with pytest.raises(InputError, match="memory: max-speed needs"), fitting(plan, pipe, size, frames):
        pass
    with fitting(None, pipe, size, frames):
        pass


def test_out_of_memory_names_the_plan():
    plan = choose("auto", MODELS["14B"], budget(40))
    with (
        pytest.raises(InputError, match=r"memory: balanced .* what helps: --memory low"),
        out_of_memory(plan, MODELS["14B"]),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def test_estimates_of_a_card():
    card = ModelCard(
        name="m", title="", description="", licence="", commercial_use=None, methods=("ati",),
        architecture="wan2.1-i2v-14b", native_size=(480, 832), num_frames=81,
    )  # fmt: skip
    found = estimate(card)
    assert list(found) == ["max-speed", "balanced", "low", "minimal"]
    # Weights alone: 30.5 GiB in 16 bits, 15.5 GiB with fp8 blocks, encoders 11.8 GiB.
    assert 45 * GIB < found["max-speed"] < 60 * GIB
    assert 34 * GIB < found["balanced"] < 40 * GIB
    assert 19 * GIB < found["low"] < 24 * GIB
    assert 5 * GIB < found["minimal"] < 8 * GIB
    float8 = estimate(replace(card, float8=True))
    # What is stored in float8 needs no rounding to be small: "balanced" is as large as "low".
    assert float8 == {**found, "balanced": found["low"]}
    assert estimate(ModelCard("w", "", "", "", None, ("warp",))) == {}


def test_what_a_loaded_pipeline_needs(make_pipeline):
    pipe = make_pipeline(2)
    need = need_of(pipe, (32, 48), 9)
    count = sum(parameter.numel() for parameter in pipe.transformer.parameters())
    assert need.experts == 2
    assert 4 * count <= need.transformer < 4 * count + 20_000  # and the tables of the rotary embedding
    assert need.encoders == need.largest_encoder == 4 * sum(p.numel() for p in pipe.text_encoder.parameters())
    assert need.vae == 4 * sum(p.numel() for p in pipe.vae.parameters())
    assert need.outside + 3 * need.block == need.transformer
    larger = need_of(pipe, (64, 96), 17, batch=2)
    # Four times the area, 5 latent frames instead of 3, two videos.
    assert larger.activations == pytest.approx(need.activations * 4 * 5 / 3 * 2, rel=1e-4)


def test_planning_for_this_machine(make_pipeline):
    pipe = make_pipeline()
    plan = plan_for(pipe, "cpu", preset="auto", size=(32, 48), num_frames=9)
    assert (plan.preset, plan.offload) == ("max-speed", None)
    here = Budget.measure("cpu", pipeline=pipe)
    assert here.gpu_free is None
    assert 0 < here.ram_free < 1 << 50
    assert here.disk_free > 0


def test_processes_that_share_a_video_share_the_ram(monkeypatch):
    monkeypatch.setattr("motionloom.models.memory_plans._free_ram", lambda: 64 * GIB)
    alone = Budget.measure("cpu")
    monkeypatch.setattr("motionloom.scale.launch.world", lambda: 4)
    of_four = Budget.measure("cpu")
    assert (alone.ram_free, of_four.ram_free) == (64 * GIB, 16 * GIB)
    assert of_four.disk_free == pytest.approx(alone.disk_free / 4, rel=0.01)


def test_processes_that_chose_differently_are_refused(monkeypatch):
    from motionloom.jobs import _agree_on

    monkeypatch.setattr("motionloom.scale.launch.agreed", lambda value: ["balanced", "bf16", False])
    _agree_on(Plan("balanced"))
    with pytest.raises(InputError, match=r"one process chose balanced and another low; .* --memory low"):
        _agree_on(Plan("low", transformer_storage="fp8"))


def test_neither_memory_nor_footprint_imports_torch():
    import subprocess

    code = "import sys, motionloom.models.memory, motionloom.models.footprint; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


DOCUMENTED = {
    "Wan2.1-I2V-14B, ATI, Wan-Move": "wan2.1-i2v-14b",
    "Wan2.2-I2V-A14B, Circle-Rotate": "wan2.2-i2v-a14b",
    "Wan2.2-TI2V-5B": "wan2.2-ti2v-5b",
    "CogVideoX-5B-I2V": "cogvideox-5b-i2v",
    "Tora on CogVideoX-5B and 5B-I2V": "tora",
}


def test_the_table_of_the_documentation_is_what_is_computed():
    page = (Path(__file__).parents[2] / "docs" / "memory-and-speed.md").read_text(encoding="utf-8")
    rows = [
        line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ") and " frames |" in line
    ]
    assert {row[0] for row in rows} == set(DOCUMENTED)
    for row in rows:
        size, frames = row[1].removesuffix(" frames").split(", ")
        width, height = map(int, size.split("x"))
        name = DOCUMENTED[row[0]]
        shape = SHAPES.get(name) or shape_of(find_model(name))
        assert shape is not None
        need = need_of_shape(shape, (height, width), int(frames))
        least = [min(peak_bytes(plan, need) for plan in plans_of(preset, need)) for preset in PRESETS[1:]]
        ram = ram_bytes(plans_of("minimal", need)[0], need)
        assert row[2:] == [f"{count / GIB:.1f}" for count in (*least, ram)], row[0]


def test_the_line_of_the_documentation_is_what_is_said():
    page = " ".join((Path(__file__).parents[2] / "docs" / "memory-and-speed.md").read_text(encoding="utf-8").split())
    free = int(23.4 * GIB)
    plan = choose("auto", MODELS["14B"], Budget(free, 24 * GIB, 128 * GIB, 500 * GIB, "NVIDIA GeForce RTX 4090"))
    assert plan.reason in page
