"""Plans by GPU, model and preset; and plans carried out on tiny pipelines, where they must not change the clip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from motionloom.errors import InputError
from motionloom.models.card import ModelCard
from motionloom.models.footprint import SHAPES, need_of, need_of_shape
from motionloom.models.memory import (
    GIB,
    PRESETS,
    Budget,
    Plan,
    apply,
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


# Plans carried out, on the CPU


def make_transformer(seed: int = 0, layers: int = 3):
    from diffusers import WanTransformer3DModel

    torch.manual_seed(seed)
    return WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=36,
        out_channels=16,
        text_dim=16,
        freq_dim=16,
        ffn_dim=48,
        num_layers=layers,
        cross_attn_norm=True,
        image_dim=None,
        rope_max_seq_len=32,
    ).eval()


def make_text_encoder():
    from transformers import UMT5Config, UMT5EncoderModel

    torch.manual_seed(5)
    return UMT5EncoderModel(
        UMT5Config(vocab_size=40, d_model=16, d_kv=4, d_ff=32, num_layers=2, num_heads=4, num_decoder_layers=2)
    ).eval()


class Words:
    """A tokenizer of 40 words, in as much of its interface as the pipeline uses."""

    def __call__(self, prompt, max_length, **_):
        from types import SimpleNamespace

        ids = torch.zeros(len(prompt), max_length, dtype=torch.long)
        for row, text in enumerate(prompt):
            found = [sum(map(ord, word)) % 39 + 1 for word in text.split()]
            ids[row, : len(found)] = torch.tensor(found)
        return SimpleNamespace(input_ids=ids, attention_mask=(ids > 0).long())


@pytest.fixture
def make_pipeline():
    """make_pipeline(experts=1, method=None) -> a tiny Wan pipeline with a text encoder."""
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanImageToVideoPipeline

    def make(experts: int = 1):
        torch.manual_seed(0)
        vae = AutoencoderKLWan(
            base_dim=2, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
        ).eval()
        pipe = WanImageToVideoPipeline(
            tokenizer=Words(),
            text_encoder=make_text_encoder(),
            vae=vae,
            scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
            transformer=make_transformer(),
            transformer_2=make_transformer(1) if experts == 2 else None,
            boundary_ratio=0.8 if experts == 2 else None,
        )
        pipe.set_progress_bar_config(disable=True)
        return pipe

    return make


def run(pipeline, **changes):
    from PIL import Image

    arguments = {
        "image": Image.new("RGB", (48, 32), (200, 40, 90)),
        "prompt": "a red house",
        "negative_prompt": "blur",
        "height": 32,
        "width": 48,
        "num_frames": 9,
        "num_inference_steps": 3,
        "max_sequence_length": 16,
        "guidance_scale": 2.0,
        "generator": torch.Generator().manual_seed(0),
        "output_type": "latent",
    }
    with torch.no_grad():
        return pipeline(**{**arguments, **changes}).frames


def assert_close_but_not_equal(found, expected):
    """Rounding weights to fp8 (up to 1/16 each, at random) moves a tiny model by a few percent of what it does."""
    assert 0.001 < (found - expected).norm() / expected.norm() < 0.05


EXACT = [
    Plan("balanced"),
    Plan("balanced", offload="model"),
    Plan("minimal", offload="group"),
    Plan("minimal", offload="group+disk"),
]


@pytest.mark.parametrize("plan", EXACT, ids=lambda plan: str(plan.offload))
@pytest.mark.parametrize("experts", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_offloading_changes_nothing(make_pipeline, plan, experts):
    expected = run(make_pipeline(experts))
    pipe = make_pipeline(experts)
    apply(plan, pipe, "cpu")
    assert torch.equal(run(pipe), expected)
    assert torch.equal(run(pipe), expected)


@pytest.mark.parametrize("offload", [None, pytest.param("group", marks=pytest.mark.slow), "group+disk"])
def test_fp8_storage_halves_the_blocks_and_stays_close(make_pipeline, offload):
    from motionloom.models.footprint import castable_layers, module_bytes

    expected = run(make_pipeline())
    pipe = make_pipeline()
    need = need_of(pipe, (32, 48), 9)
    layers = castable_layers(pipe.transformer)
    apply(Plan("low", "fp8", offload), pipe, "cpu")
    found = run(pipe)
    assert_close_but_not_equal(found, expected)
    assert torch.equal(run(pipe), found)
    if offload is None:
        assert {layer.weight.dtype for layer in layers.values()} == {torch.float8_e4m3fn}
        assert module_bytes(pipe.transformer) == need.transformer_fp8 < 0.6 * need.transformer
        assert pipe.transformer.patch_embedding.weight.dtype == torch.float32


def test_two_parts_on_disk_do_not_share_their_files(make_pipeline, tmp_path, monkeypatch):
    """diffusers names files by their place in a part and takes one that exists for the right one."""
    import gc
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    expected = run(make_pipeline(2))
    pipe = make_pipeline(2)
    apply(Plan("minimal", offload="group+disk"), pipe, "cpu")
    folders = sorted(path for path in tmp_path.iterdir() if path.name.startswith("motionloom-weights-"))
    assert len(folders) == 3
    assert torch.equal(run(pipe), expected)
    del pipe
    gc.collect()
    assert not any(path.name.startswith("motionloom-weights-") for path in tmp_path.iterdir())


@pytest.mark.parametrize("offload", [None, pytest.param("group", marks=pytest.mark.slow), "group+disk"])
def test_a_lora_attached_before_keeps_its_precision(make_pipeline, offload):
    from peft import LoraConfig

    def with_lora():
        pipe = make_pipeline()
        torch.manual_seed(3)
        targets = ["to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2"]
        pipe.transformer.add_adapter(
            LoraConfig(r=4, lora_alpha=8, init_lora_weights=False, target_modules=targets), "mine"
        )
        return pipe

    plain, expected = run(make_pipeline()), run(with_lora())
    assert (expected - plain).norm() / plain.norm() > 0.05
    exact, small = with_lora(), with_lora()
    apply(Plan("minimal", offload=offload), exact, "cpu")
    assert torch.equal(run(exact), expected)
    apply(Plan("minimal", "fp8", offload), small, "cpu")
    found = run(small)
    assert_close_but_not_equal(found, expected)
    if offload is None:
        types = {
            name.split(".")[-3]: p.dtype for name, p in small.transformer.blocks.named_parameters() if "lora" in name
        }
        assert types == {"lora_A": torch.float32, "lora_B": torch.float32}
        assert small.transformer.blocks[0].attn1.to_q.base_layer.weight.dtype == torch.float8_e4m3fn


@pytest.mark.parametrize(
    "plan",
    [*EXACT, Plan("low", "fp8"), Plan("minimal", "fp8", "group")],
    ids=lambda p: f"{p.transformer_storage}-{p.offload}",
)
def test_plans_compose_with_track_guidance(make_pipeline, plan):
    """A window, tracks left out of one branch, two experts: the hooks of guidance and of the plan do not meet."""
    import numpy as np

    from motionloom.methods.ati.pipeline import ATIWanImageToVideoPipeline
    from motionloom.tracks.tracks import Tracks

    points = np.linspace([[8, 8], [20, 24]], [[40, 8], [20, 8]], 9).astype(np.float32)
    tracks = Tracks(points, np.ones((9, 2), np.bool_), (32, 48), 16.0)
    guidance = {"tracks": tracks, "window": (0.0, 0.7), "drop_tracks_in_uncond": True}
    expected = run(ATIWanImageToVideoPipeline.from_pipe(make_pipeline(2)), **guidance)
    pipe = ATIWanImageToVideoPipeline.from_pipe(make_pipeline(2))
    apply(plan, pipe, "cpu")
    found = run(pipe, **guidance)
    if plan.transformer_storage == "bf16":
        assert torch.equal(found, expected)
    else:
        assert_close_but_not_equal(found, expected)
    assert (run(pipe) - found).abs().max() > 1e-3


def test_layers_quantised_in_their_own_way_are_left_alone(make_pipeline):
    from torch import nn

    class Own(nn.Linear):
        pass

    pipe = make_pipeline()
    layer = pipe.transformer.blocks[1].attn1.to_q
    layer.__class__ = Own
    apply(Plan("low", "fp8"), pipe, "cpu")
    assert layer.weight.dtype == torch.float32
    assert pipe.transformer.blocks[1].attn1.to_k.weight.dtype == torch.float8_e4m3fn
    assert torch.isfinite(run(pipe)).all()


def test_tiling_and_slicing_are_switched_on(make_pipeline):
    pipe = make_pipeline()
    apply(Plan("low", vae_tiling=True, vae_slicing=False), pipe, "cpu")
    assert (pipe.vae.use_tiling, pipe.vae.use_slicing) == (True, False)


def test_a_second_plan_is_refused(make_pipeline):
    pipe = make_pipeline()
    apply(Plan("minimal", offload="group"), pipe, "cpu")
    with pytest.raises(InputError, match="load the model again"):
        apply(Plan("max-speed", unload_text_encoder=False), pipe, "cpu")


def test_page_locked_weights_are_packed_into_pieces():
    """Shapes and types of one block of the 14B model, its weights on no device at all."""
    from diffusers import WanTransformer3DModel

    from motionloom.models.footprint import module_bytes
    from motionloom.models.memory_plans import PINNED_PIECE
    from motionloom.models.offload import pin

    with torch.device("meta"):
        transformer = WanTransformer3DModel(in_channels=36, image_dim=1280, added_kv_proj_dim=5120, num_layers=8)
    transformer = transformer.to(torch.bfloat16)
    sizes = []

    def empty(count):
        sizes.append(count)
        return torch.empty(count, dtype=torch.uint8, device="meta")

    whole = module_bytes(transformer)
    assert pin(transformer, empty) == whole
    assert all(size & (size - 1) == 0 and size <= PINNED_PIECE for size in sizes)
    need = need_of_shape(SHAPES["wan2.1-i2v-14b"], (480, 832), 81)
    beside = ram_bytes(Plan("minimal", offload="group"), need) - need.weights
    assert sum(sizes) - whole < beside
    # Every tensor by itself, as torch rounds what it pins.
    alone = sum(1 << (tensor.nbytes - 1).bit_length() for tensor in transformer.parameters())
    assert alone > 1.45 * whole


def test_page_locked_weights_are_the_same_weights():
    from motionloom.models.offload import pin

    transformer = make_transformer()
    transformer.blocks[0].to(torch.bfloat16)
    transformer.blocks[1].ffn.to(torch.float8_e4m3fn)
    before = {name: tensor.clone() for name, tensor in transformer.state_dict().items()}
    pieces = []

    def empty(count):
        pieces.append(torch.full((count,), 7, dtype=torch.uint8))
        return pieces[-1]

    pin(transformer, empty)
    assert len(pieces) == 1
    (span,) = pieces
    for name, tensor in transformer.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor.float(), before[name].float()), name
        assert span.data_ptr() <= tensor.data_ptr() < span.data_ptr() + len(span)


def test_what_cannot_be_page_locked_stays_where_it_is():
    from motionloom.models.offload import pin

    transformer = make_transformer()
    places = [parameter.data_ptr() for parameter in transformer.parameters()]

    def refuse(count):
        raise RuntimeError("CUDA error: out of memory")

    assert pin(transformer, refuse) == 0
    assert [parameter.data_ptr() for parameter in transformer.parameters()] == places


def test_release_and_present(make_pipeline):
    from motionloom.models.offload import is_offloaded, present, release

    pipe = make_pipeline()
    expected = run(pipe)
    with present(pipe, "text_encoder", "cpu"):
        assert torch.equal(run(pipe), expected)
    release(pipe, "text_encoder", "image_encoder")
    assert not is_offloaded(pipe)
    apply(Plan("balanced"), pipe, "cpu")
    assert is_offloaded(pipe)
    with present(pipe, "text_encoder", "cpu"):
        assert torch.equal(run(pipe), expected)


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
    import sys

    code = "import sys, motionloom.models.memory, motionloom.models.footprint; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


DOCUMENTED = {
    "Wan2.1-I2V-14B, ATI, Wan-Move": "wan2.1-i2v-14b",
    "Wan2.2-I2V-A14B, Circle-Rotate": "wan2.2-i2v-a14b",
    "Wan2.2-TI2V-5B": "wan2.2-ti2v-5b",
    "CogVideoX-5B-I2V": "cogvideox-5b-i2v",
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
        need = need_of_shape(SHAPES[DOCUMENTED[row[0]]], (height, width), int(frames))
        least = [min(peak_bytes(plan, need) for plan in plans_of(preset, need)) for preset in PRESETS[1:]]
        ram = ram_bytes(plans_of("minimal", need)[0], need)
        assert row[2:] == [f"{count / GIB:.1f}" for count in (*least, ram)], row[0]


def test_the_line_of_the_documentation_is_what_is_said():
    page = " ".join((Path(__file__).parents[2] / "docs" / "memory-and-speed.md").read_text(encoding="utf-8").split())
    free = int(23.4 * GIB)
    plan = choose("auto", MODELS["14B"], Budget(free, 24 * GIB, 128 * GIB, 500 * GIB, "NVIDIA GeForce RTX 4090"))
    assert plan.reason in page
