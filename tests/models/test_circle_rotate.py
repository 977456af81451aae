"""The model and the published interface, on two tiny random experts with the golden LoRAs' dimensions."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from motionloom.errors import CheckpointError, InputError
from motionloom.methods.circle_rotate import CircleRotateInference
from motionloom.models import store
from motionloom.models.catalog import find_model
from motionloom.models.circle_rotate import CircleRotateModel
from motionloom.models.lora import LoraSpec, load_loras, read_lora
from motionloom.tracks.tracks import Tracks

GOLDEN = Path(__file__).parents[1] / "golden" / "circle-rotate"
ORBIT: dict[Any, Path] = {
    "lora": GOLDEN / "high_r4_a2_lora.safetensors",
    "lora_2": GOLDEN / "low_r4_a1_lora.safetensors",
}
RUN: dict[str, Any] = {"size": (32, 48), "num_frames": 9, "seed": 0}


def two_experts() -> Any:
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanImageToVideoPipeline, WanTransformer3DModel

    def transformer(seed: int) -> Any:
        torch.manual_seed(seed)
        return WanTransformer3DModel(
            patch_size=(1, 2, 2),
            num_attention_heads=2,
            attention_head_dim=12,
            in_channels=36,
            out_channels=16,
            text_dim=32,
            freq_dim=32,
            ffn_dim=48,
            num_layers=2,
            cross_attn_norm=True,
            qk_norm="rms_norm_across_heads",
            rope_max_seq_len=32,
        ).eval()

    torch.manual_seed(0)
    vae = AutoencoderKLWan(
        base_dim=2, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    return WanImageToVideoPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=vae.eval(),
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
        transformer=transformer(1),
        transformer_2=transformer(2),
        boundary_ratio=0.9,
    )


@pytest.fixture(scope="module")
def photographs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (60, 80, 3), dtype=np.uint8), rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Path]:
    """A four-step LoRA per expert, as `diffusion_model.` files with attention only."""
    folder = tmp_path_factory.mktemp("fast")
    files: dict[Any, Path] = {}
    for index, (part, name) in enumerate((("lora_fast", "high"), ("lora_fast_2", "low"))):
        generator = torch.Generator().manual_seed(index)
        tensors = {}
        for block in range(2):
            for module in ("self_attn.q", "cross_attn.o"):
                stem = f"diffusion_model.blocks.{block}.{module}"
                tensors[f"{stem}.lora_A.weight"] = torch.randn(4, 24, generator=generator) * 0.3
                tensors[f"{stem}.lora_B.weight"] = torch.randn(24, 4, generator=generator)
        files[part] = folder / f"four_step_{name}_noise.safetensors"
        save_file(tensors, files[part])
    return files


def merged(files: dict[Any, Path], strength: float) -> Any:
    """The pipeline with the LoRAs added to the weights by hand, the orbit LoRAs times ``strength``."""
    pipe = two_experts()
    for part, file in files.items():
        model = pipe.transformer_2 if part.endswith("_2") else pipe.transformer
        for name, layer in read_lora(file).layers.items():
            model.get_submodule(name).weight.data += (1 if "fast" in part else strength) * layer.delta()
    return pipe


def latents(pipe: Any, schedule: dict[str, Any], photographs: Any) -> torch.Tensor:
    from motionloom.methods.circle_rotate.pipeline import CircleRotatePipeline

    guided = CircleRotatePipeline.from_pipe(pipe)
    guided.set_progress_bar_config(disable=True)
    text = torch.zeros(1, 1, 32)
    return guided(
        *photographs,
        height=32,
        width=48,
        num_frames=9,
        output_type="latent",
        prompt_embeds=text,
        negative_prompt_embeds=text,
        generator=torch.Generator().manual_seed(0),
        **schedule,
    ).frames


def made(pipe: Any, loras: dict[Any, Path]) -> CircleRotateModel:
    return CircleRotateModel(pipe, find_model("circle-rotate"), name="circle-rotate", digest="base", loras=loras)


@pytest.mark.slow
def test_stacked_on_the_four_step_lora_equals_double_merge(fast, photographs):
    model = made(two_experts(), {**ORBIT, **fast})
    assert [facts["experts"] for facts in model.adapters] == [["high"], ["low"], ["high"], ["low"]]
    expected = latents(merged({**fast, **ORBIT}, 1.0), {}, photographs)
    assert (latents(model.pipeline, {}, photographs) - expected).abs().max() < 1e-5
    model.pipeline.set_strength(0.8)
    expected = latents(merged({**fast, **ORBIT}, 0.8), {}, photographs)
    assert (latents(model.pipeline, {}, photographs) - expected).abs().max() < 1e-5
    model.pipeline.set_strength(0.0)
    expected = latents(merged(fast, 0.0), {}, photographs)
    assert (latents(model.pipeline, {}, photographs) - expected).abs().max() < 1e-5


def test_generate_runs_as_published(fast, photographs):
    model = made(two_experts(), {**ORBIT, **fast})
    progress: list[tuple[int, int]] = []
    clip = model.generate(
        photographs[0],
        last_image=photographs[1],
        strength=0.9,
        on_progress=lambda step, total: progress.append((step, total)),
        **RUN,
    )
    details = clip.provenance["details"]
    assert clip.frames.shape == (9, 32, 48, 3)
    assert clip.fps == 16
    assert progress == [(step, 4) for step in range(5)]
    assert {key: details[key] for key in ("num_inference_steps", "guidance_scale", "guidance_scale_2", "shift")} == {
        "num_inference_steps": 4,
        "guidance_scale": 1.6,
        "guidance_scale_2": 1.6,
        "shift": 8.0,
    }
    assert details["solver"] == "euler"
    assert [(fact["file"], fact["strength"]) for fact in details["loras"]] == [
        ("four_step_high_noise.safetensors", 1.0),
        ("four_step_low_noise.safetensors", 1.0),
        ("high_r4_a2_lora.safetensors", 0.9),
        ("low_r4_a1_lora.safetensors", 0.9),
    ]
    again = model.generate(photographs[0], last_image=photographs[1], strength=0.9, **RUN)
    assert np.array_equal(clip.frames, again.frames)


def test_strength_zero_is_the_base_exactly(photographs):
    base = two_experts()
    expected = latents(base, {}, photographs)
    model = made(base, ORBIT)
    changed = latents(model.pipeline, {}, photographs)
    model.pipeline.set_strength(0)
    assert torch.equal(latents(model.pipeline, {}, photographs), expected)
    assert (changed - expected).abs().max() > 0.01


def test_without_a_four_step_lora_it_runs_as_the_base_does(photographs):
    model = made(two_experts(), ORBIT)
    clip = model.generate(photographs[0], num_inference_steps=3, **RUN)
    details = clip.provenance["details"]
    assert model.sampling is not None
    assert model.sampling.num_inference_steps == 40
    assert (details["solver"], details["guidance_scale"], details["guidance_scale_2"]) == ("unipc", 3.5, 3.5)


@pytest.mark.slow
def test_digest_names_base_and_loras(fast):
    digests = {made(two_experts(), loras).digest for loras in (ORBIT, {**ORBIT, **fast})}
    assert len(digests) == 2
    assert made(two_experts(), ORBIT).digest in digests


def test_tracks_are_ignored_with_a_word_and_a_window_is_refused(photographs):
    model = made(two_experts(), ORBIT)
    points = np.stack([np.linspace([4, 4], [40, 20], 9)], 1).astype(np.float32)
    tracks = Tracks(points, np.ones((9, 1), bool), (32, 48), 16.0)
    with pytest.warns(UserWarning, match=r"takes no tracks: .* the motion is ignored. .* load wan2.2-i2v-a14b"):
        moved = model.generate(photographs[0], tracks, num_inference_steps=1, **RUN)
    still = model.generate(photographs[0], num_inference_steps=1, **RUN)
    assert np.array_equal(moved.frames, still.frames)
    with pytest.raises(InputError, match="window: circle-rotate has none"):
        model.generate(photographs[0], window=(0.0, 0.5), **RUN)
    with pytest.raises(InputError, match="options: circle_rotate knows no 'top_k'"):
        model.generate(photographs[0], options={"top_k": 2}, **RUN)


def test_half_pairs_and_swapped_pairs_are_refused(fast, photographs):
    with pytest.raises(InputError, match="found no file for lora_2; every expert needs its own"):
        made(two_experts(), {"lora": ORBIT["lora"]})
    with pytest.raises(InputError, match="found no file for lora_fast;"):
        made(two_experts(), {**ORBIT, "lora_fast_2": fast["lora_fast_2"]})
    pipe = two_experts()
    expected = latents(pipe, {}, photographs)
    with pytest.raises(CheckpointError, match="swapped"):
        made(pipe, {"lora": ORBIT["lora_2"], "lora_2": ORBIT["lora"]})
    assert torch.equal(latents(pipe, {}, photographs), expected)


def test_published_interface(fast, photographs):
    orbit = CircleRotateInference(
        base_model=two_experts(),
        lora_high=ORBIT["lora"],
        lora_low=ORBIT["lora_2"],
        lora_fast_high=fast["lora_fast"],
        lora_fast_low=fast["lora_fast_2"],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clip = orbit.generate(
            *photographs, width=48, height=32, num_frames=9, steps=4, cfg=1.6, seed=0, lora_strength=0.9, prompt=""
        )
    model = made(two_experts(), {**ORBIT, **fast})
    expected = model.generate(photographs[0], last_image=photographs[1], strength=0.9, **RUN)
    assert np.array_equal(clip.frames, expected.frames)
    small = {"width": 48, "height": 32, "num_frames": 5, "prompt": ""}
    drawn = [orbit.generate(*photographs, **small).provenance for _ in range(2)]
    assert drawn[0]["parameters"]["seed"] != drawn[1]["parameters"]["seed"]
    with pytest.raises(InputError, match="lora_high, lora_low: found one of the two"):
        CircleRotateInference(base_model=two_experts(), lora_high=ORBIT["lora"])


def test_missing_catalogue_files_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"circle_rotate_h.safetensors"):
        CircleRotateInference(base_model=two_experts())


@pytest.mark.slow
def test_more_loras_may_be_stacked_from_outside(photographs, fast):
    pipe = two_experts()
    load_loras(pipe, [LoraSpec(fast["lora_fast"]), LoraSpec(fast["lora_fast_2"])])
    model = made(pipe, ORBIT)
    expected = latents(merged({**fast, **ORBIT}, 1.0), {}, photographs)
    assert (latents(model.pipeline, {}, photographs) - expected).abs().max() < 1e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Wan2.2-I2V-A14B of two tiny experts in diffusers' layout."""
    path = tmp_path_factory.mktemp("a14b") / "tiny"
    pipe = two_experts()
    for part in ("transformer", "transformer_2", "vae", "scheduler"):
        getattr(pipe, part).save_pretrained(path / part)
    index = {
        "_class_name": "WanImageToVideoPipeline",
        "boundary_ratio": 0.9,
        "transformer": ["diffusers", "WanTransformer3DModel"],
        "transformer_2": ["diffusers", "WanTransformer3DModel"],
        "vae": ["diffusers", "AutoencoderKLWan"],
        "scheduler": ["diffusers", "UniPCMultistepScheduler"],
    }
    (path / "model_index.json").write_text(json.dumps(index))
    return path


@pytest.mark.slow
def test_from_a_folder(folder, photographs):
    orbit = CircleRotateInference(
        base_model=folder, lora_high=ORBIT["lora"], lora_low=ORBIT["lora_2"], device="cpu", memory="max-speed"
    )
    clip = orbit.generate(*photographs, width=48, height=32, num_frames=9, steps=2, seed=0, prompt="")
    expected = made(two_experts(), ORBIT).generate(
        photographs[0], last_image=photographs[1], num_inference_steps=2, **RUN
    )
    assert np.array_equal(clip.frames, expected.frames)


@pytest.mark.slow
def test_loras_of_the_command_line_on_another_method(folder, photographs):
    """What ``--lora FILE:strength:expert`` does: the same weights as merging by hand, guided by tracks or not."""
    from motionloom.models.loading import load

    loras = [f"{ORBIT['lora']}:0.5", f"{ORBIT['lora_2']}:1:low"]
    model = load(folder, method="wan_move", loras=loras, device="cpu", memory="max-speed")
    points = np.stack([np.linspace([4, 4], [40, 20], 9)], 1).astype(np.float32)
    tracks = Tracks(points, np.ones((9, 1), bool), (32, 48), 16.0)
    run: dict[str, Any] = {**RUN, "num_inference_steps": 2}
    clip = model.generate(photographs[0], tracks, **run)
    base = load(folder, method="wan_move", device="cpu", memory="max-speed")
    plain = base.generate(photographs[0], tracks, **run)
    for part, file, strength in (("transformer", "lora", 0.5), ("transformer_2", "lora_2", 1.0)):
        for name, layer in read_lora(ORBIT[file]).layers.items():
            getattr(base.pipeline, part).get_submodule(name).weight.data += strength * layer.delta()  # pyright: ignore
    expected = base.generate(photographs[0], tracks, **run)
    difference = np.abs(clip.frames.astype(int) - expected.frames)
    assert difference.max() <= 1  # the rounding of a pixel
    assert np.abs(plain.frames.astype(int) - expected.frames).max() > 5
    assert model.digest != base.digest
    again = load(
        folder, method="wan_move", loras=clip.provenance["parameters"]["loras"], device="cpu", memory="max-speed"
    )
    assert np.array_equal(again.generate(photographs[0], tracks, **run).frames, clip.frames)


@pytest.mark.slow
def test_by_its_name_in_the_catalogue(tiny_parts, photographs, tmp_path, monkeypatch):
    """LoRAs where `motionloom models fetch` puts them, the other parts from a folder; prompts are read."""
    from motionloom.models.loading import load

    pipe = two_experts()
    pipe.register_modules(text_encoder=tiny_parts.text_encoder, tokenizer=tiny_parts.tokenizer)
    pipe.save_pretrained(tmp_path / "base")
    fetched = tmp_path / "models" / "jk1741391802--circle-rotate-lora"
    fetched.mkdir(parents=True)
    for name, part in (("circle_rotate_h", "lora"), ("circle_rotate_l", "lora_2")):
        shutil.copy(ORBIT[part], fetched / f"{name}.safetensors")
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path / "models"))
    with pytest.warns(UserWarning, match="four-step LoRAs are not on this disk: it runs 40 steps"):
        model = load("circle-rotate", base=tmp_path / "base", device="cpu", memory="max-speed")
    assert isinstance(model, CircleRotateModel)
    run: dict[str, Any] = {**RUN, "last_image": photographs[1], "num_inference_steps": 2}
    clip = model.generate(photographs[0], **run)
    assert clip.provenance["details"]["prompt"] == "A static object, camera smoothly orbits around it"
    assert [fact["file"] for fact in clip.provenance["details"]["loras"]] == [
        "circle_rotate_h.safetensors",
        "circle_rotate_l.safetensors",
    ]
    expected = made(pipe, ORBIT).generate(photographs[0], **run)
    assert np.array_equal(clip.frames, expected.frames)
    other = model.generate(photographs[0], prompt="a cat", **run)
    assert not np.array_equal(clip.frames, other.frames)


@pytest.fixture
def catalogue(tiny_parts, fast, tmp_path, monkeypatch) -> dict[str, Any]:
    """Arguments of `load` for "circle-rotate" with all its LoRAs fetched and the base in a folder."""
    pipe = two_experts()
    pipe.register_modules(text_encoder=tiny_parts.text_encoder, tokenizer=tiny_parts.tokenizer)
    pipe.save_pretrained(tmp_path / "base")
    for file in find_model("circle-rotate").files:
        if file.part.startswith("lora"):
            place = tmp_path / "models" / file.repo.replace("/", "--") / file.path
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy({**ORBIT, **fast}[file.part], place)
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path / "models"))
    # Small files in the place of those whose size is known: as a fetch would have left them.
    monkeypatch.setattr(store, "is_verified", lambda repo, path: store.local_path(repo, path).is_file())
    return {"base": tmp_path / "base", "device": "cpu", "memory": "max-speed"}


@pytest.mark.slow
def test_loras_of_the_command_line_are_on_record(catalogue, photographs):
    from motionloom.models.loading import load

    model = load("circle-rotate", loras=[f"{ORBIT['lora']}:0.25:high"], **catalogue)
    clip = model.generate(photographs[0], strength=0.5, **RUN)
    details = clip.provenance["details"]
    files = {file.part: Path(file.path).name for file in find_model("circle-rotate").files}
    assert [(fact["file"], fact["strength"]) for fact in details["loras"]] == [
        ("high_r4_a2_lora.safetensors", 0.25),
        (files["lora_fast"], 1.0),
        (files["lora_fast_2"], 1.0),
        ("circle_rotate_h.safetensors", 0.5),
        ("circle_rotate_l.safetensors", 0.5),
    ]
    assert (details["num_inference_steps"], details["guidance_scale"], details["shift"]) == (4, 1.6, 8.0)


def test_other_four_step_loras_take_the_place_of_the_catalogues(catalogue, fast, photographs):
    """``--few-step-lora`` on circle-rotate: the published four steps, and no model distilled twice."""
    from motionloom.models.loading import load

    quick = [f"{fast['lora_fast']}:1:high", f"{fast['lora_fast_2']}:0.5:low"]
    model: Any = load("circle-rotate", few_step_loras=quick, **catalogue)
    assert [(facts["file"], facts["strength"]) for facts in model.adapters[:-2]] == [
        ("four_step_high_noise.safetensors", 1.0),
        ("four_step_low_noise.safetensors", 0.5),
    ]
    assert model.sampling == find_model("circle-rotate").sampling  # 4 steps, shift 8, guidance 1.6
    by_hand = merged(ORBIT, 1.0)
    for part, strength in (("lora_fast", 1.0), ("lora_fast_2", 0.5)):
        expert = by_hand.transformer_2 if part.endswith("_2") else by_hand.transformer
        for name, layer in read_lora(fast[part]).layers.items():
            expert.get_submodule(name).weight.data += strength * layer.delta()
    assert (latents(model.pipeline, {}, photographs) - latents(by_hand, {}, photographs)).abs().max() < 1e-5


def test_the_published_interface_says_how_it_fits_and_what_makes_it_fast(folder, fast):
    orbit = CircleRotateInference(
        base_model=folder,
        lora_high=ORBIT["lora"],
        lora_low=ORBIT["lora_2"],
        lora_fast_high=fast["lora_fast"],
        lora_fast_low=fast["lora_fast_2"],
        device="cpu",
        fast=True,
    )
    assert orbit.model.plan is not None
    assert orbit.model.notes[0].startswith("memory: ")
    assert any("4 steps have nothing to spare" in note for note in orbit.model.notes)


def test_loras_that_are_not_there_are_named_before_the_base_is_read(folder, tmp_path, monkeypatch):
    from motionloom.models import pipelines
    from motionloom.models.loading import load

    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path))
    monkeypatch.setattr(pipelines, "load_part", lambda *args, **options: pytest.fail("read the base first"))
    with pytest.raises(CheckpointError, match=r"2 of its 2 files are not on this disk"):
        load("circle-rotate", base=folder, device="cpu")
    for option in ("loras", "few_step_loras"):
        arguments: dict[str, Any] = {option: [str(tmp_path / "nothere.safetensors:0.5")]}
        with pytest.raises(CheckpointError, match=r"lora .*nothere.safetensors: no such file"):
            load(folder, method="wan_move", device="cpu", **arguments)
