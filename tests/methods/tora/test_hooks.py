from __future__ import annotations

import functools
import json
import runpy
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import CogVideoXTransformer3DModel
from safetensors.torch import load_file
from torch import Tensor

from motionloom.errors import InputError
from motionloom.methods.tora.adapter import ToraAdapter
from motionloom.methods.tora.hooks import attach
from motionloom.models.speed import compile_blocks, why_not_compile

_tiny = runpy.run_path(str(Path(__file__).with_name("tiny.py")))
GOLDEN = Path(__file__).parents[2] / "golden" / "tora"
KINDS = ["t2v", "sincos", "i2v", "learned", "1.5"]
DESIGNS = ["adaptive_norm", "extra_channel", "cross_attention"]


def predict(transformer: Any, batch: int = 1, frames: int = 3, **changes: Any) -> Tensor:
    with torch.no_grad():
        return transformer(**_tiny["call"](transformer, batch, frames, **changes))[0]


def frames_of(kind: str) -> int:
    return 4 if kind == "1.5" else 3


@pytest.fixture
def pair() -> tuple[CogVideoXTransformer3DModel, ToraAdapter]:
    transformer = _tiny["transformer"]()
    return transformer, _tiny["adapter"](transformer)


@pytest.fixture
def features(pair: Any) -> list[Tensor]:
    with torch.no_grad():
        return pair[1].features(_tiny["motion_latents"]())


def calls(module: Any) -> list[int]:
    """A list that grows with every call of the module."""
    seen: list[int] = []
    module.register_forward_hook(lambda *_: seen.append(1))
    return seen


@pytest.mark.parametrize("name", ["mini_rope", "mini_sincos"])
def test_published_transformer(name: str):
    config = json.loads((GOLDEN / f"{name}.config.json").read_text())
    width = config.pop("tora_condition_channels")
    config.pop("_note")
    weights, io = (load_file(GOLDEN / f"{name}.{part}.safetensors") for part in ("weights", "io"))
    adapter_keys = {key for key in weights if key.startswith(("fuser.", "traj_extractor."))}
    transformer = CogVideoXTransformer3DModel(**config).eval()
    transformer.load_state_dict({key: each for key, each in weights.items() if key not in adapter_keys})
    adapter = ToraAdapter.for_transformer(transformer, condition_channels=width)
    adapter.load_state_dict({key: weights[key] for key in adapter_keys})

    inputs = {key: io[key] for key in ("hidden_states", "encoder_hidden_states", "timestep")} | {"return_dict": False}
    if "rope_cos" in io:
        inputs["image_rotary_emb"] = (io["rope_cos"], io["rope_sin"])
    seen: list[tuple[Tensor, Tensor]] = []
    for fuser in adapter.fuser:
        fuser.register_forward_hook(lambda _, args, output: seen.append((args[0], output)))
    with torch.no_grad():
        untouched = transformer(**inputs)[0]
        with attach(transformer, adapter) as attachment:
            assert torch.equal(transformer(**inputs)[0], untouched)
            attachment.features = adapter.features(io["video_flow"].transpose(1, 2))
            guided = transformer(**inputs)[0]
    torch.testing.assert_close(untouched, io["out_without_flow"], atol=1e-4, rtol=0)
    torch.testing.assert_close(guided, io["out_with_flow"], atol=1e-4, rtol=0)
    for layer, (before, after) in enumerate(seen):
        for found, key in ((before, f"fuser{layer}_in"), (after, f"fuser{layer}_out")):
            expected = io[key].unflatten(0, (2, 3)).permute(0, 1, 3, 4, 2).reshape(found.shape)
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert len(seen) == len(transformer.transformer_blocks)


@pytest.mark.parametrize("kind", ["mini_rope", "mini_sincos"])
def test_published_features(kind: str):
    weights, io = (load_file(GOLDEN / f"{kind}.{part}.safetensors") for part in ("weights", "io"))
    adapter = ToraAdapter(32, 2, 16, num_attention_heads=2).eval()
    adapter.load_state_dict({k: each for k, each in weights.items() if k.startswith(("fuser.", "traj_extractor."))})
    with torch.no_grad():
        found = torch.stack(adapter.features(io["video_flow"].transpose(1, 2)))
    torch.testing.assert_close(found.flatten(1, 2), io["features"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("kind", KINDS)
def test_untrained_is_the_base(kind: str, design: str):
    transformer, frames = _tiny["transformer"](kind), frames_of(kind)
    base = predict(transformer, 2, frames)
    adapter = _tiny["adapter"](transformer, random=False, design=design)
    with attach(transformer, adapter) as attachment:
        attachment.features = adapter.features(_tiny["motion_latents"](2, frames))
        assert torch.equal(predict(transformer, 2, frames), base)
        with torch.no_grad():
            for parameter in adapter.fuser.parameters():
                parameter.add_(0.1)
        assert (predict(transformer, 2, frames) - base).abs().max() > 1e-3
    assert torch.equal(predict(transformer, 2, frames), base)


def test_strength(pair: Any, features: list[Tensor]):
    """0 computes nothing and is the base bit for bit; half is half way at what the attention reads."""
    transformer, adapter = pair
    base = predict(transformer)
    norm: list[Tensor] = []
    used = calls(adapter.fuser[0])
    with attach(transformer, adapter) as attachment:
        transformer.transformer_blocks[0].norm1.register_forward_hook(lambda _, args, output: norm.append(output[0]))
        attachment.features = features
        for strength in (0.0, 0.5, 1.0, 2.0):
            attachment.strength = strength
            found = predict(transformer)
            assert torch.equal(found, base) == (strength == 0)
        assert len(used) == 3
        for index, factor in ((1, 0.5), (3, 2.0)):
            torch.testing.assert_close(norm[index], norm[0] + factor * (norm[2] - norm[0]), atol=1e-5, rtol=1e-5)
        for wrong in (-1.0, float("nan"), float("inf")):
            with pytest.raises(InputError, match="strength: found"):
                attachment.strength = wrong


def test_only_video_tokens_change(pair: Any, features: list[Tensor]):
    transformer, adapter = pair
    norm: list[tuple[Tensor, ...]] = []
    with attach(transformer, adapter) as attachment:
        transformer.transformer_blocks[0].norm1.register_forward_hook(lambda _, args, output: norm.append(output))
        predict(transformer)
        attachment.features = features
        predict(transformer)
    (video, *others), (moved, *same) = norm
    assert not torch.equal(video, moved)
    assert all(torch.equal(left, right) for left, right in zip(others, same, strict=True))


def test_detached_leaves_nothing(pair: Any, features: list[Tensor]):
    transformer, adapter = pair
    base, before = predict(transformer), {key: each.clone() for key, each in transformer.state_dict().items()}
    parameters = [id(each) for each in transformer.parameters()]
    attachment = attach(transformer, adapter)
    attachment.features = features
    assert (predict(transformer) - base).abs().max() > 1e-2
    assert transformer.state_dict().keys() == before.keys()
    assert [id(each) for each in transformer.parameters()] == parameters
    attachment.detach()
    attachment.detach()
    assert attachment.features is None
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in transformer.modules())
    assert all(torch.equal(each, before[key]) for key, each in transformer.state_dict().items())
    assert torch.equal(predict(transformer), base)


def test_one_adapter_at_a_time(pair: Any):
    transformer, adapter = pair
    with attach(transformer, adapter), pytest.raises(InputError, match="an adapter is attached already"):
        attach(transformer, adapter)
    with pytest.raises(ZeroDivisionError), attach(transformer, adapter):
        raise ZeroDivisionError
    with attach(transformer, adapter):
        pass


def test_base_of_another_size(pair: Any):
    transformer, _ = pair
    other = _tiny["transformer"](heads=4, layers=3)
    with pytest.raises(InputError, match="found 32 wide, 2 blocks; this adapter is for 64 wide, 3 blocks"):
        attach(transformer, _tiny["adapter"](other))
    assert not any(module._forward_hooks for module in transformer.modules())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"frames": 4}, "found 4 frames x 2 x 2 patches of motion, expected 3 frames x 2 x 2 .* 3 frames x 4 x 4;"),
        ({"size": (4, 6)}, "found 3 frames x 2 x 3 patches of motion, expected 3 frames x 2 x 2"),
        ({"batch": 2}, "found motions of 2 videos for a batch of 3"),
    ],
)
def test_features_of_another_video(pair: Any, given: dict[str, Any], message: str):
    transformer, adapter = pair
    base = predict(transformer, 3)
    with attach(transformer, adapter) as attachment:
        attachment.features = adapter.features(_tiny["motion_latents"](**given))
        with pytest.raises(InputError, match=message):
            predict(transformer, 3)
        with pytest.raises(InputError, match=message):
            transformer.forward(**_tiny["call"](transformer, 3))  # as a hook around it calls it, for a part of a clip
        attachment.features = None
        assert torch.equal(predict(transformer, 3), base)


def test_features_that_are_none(pair: Any, features: list[Tensor]):
    with attach(*pair) as attachment:
        with pytest.raises(InputError, match="features: found 1, expected 2, one for every block"):
            attachment.features = features[:1]
        with pytest.raises(InputError, match=r"found torch.float64, but the adapter is torch.float32"):
            attachment.features = [each.double() for each in features]
        with pytest.raises(InputError, match="found shapes 1x3x8x2x2, 3x8x2x2, expected the same for every block"):
            attachment.features = [features[0], features[1][0]]
        assert attachment.features is None


def test_branches_and_videos(pair: Any):
    """Two videos of two branches each, in one batch and one after the other."""
    transformer, adapter = pair
    motion = _tiny["motion_latents"](2)
    call = _tiny["call"](transformer, 4)
    with torch.no_grad(), attach(transformer, adapter) as attachment:
        attachment.features = adapter.features(motion)
        together = transformer(**call)[0]
        for row in range(4):
            attachment.features = adapter.features(motion[row % 2 : row % 2 + 1])
            part = {key: call[key][row : row + 1] for key in ("hidden_states", "encoder_hidden_states", "timestep")}
            torch.testing.assert_close(together[row], transformer(**{**call, **part})[0][0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("cache", "spatial", "temporal"), [("features", 3, 3), ("spatial", 1, 3), ("modulation", 1, 1)]
)
def test_computed_once_per_run(pair: Any, cache: Any, spatial: int, temporal: int):
    transformer, adapter = pair
    latents = _tiny["motion_latents"]()
    with torch.no_grad(), attach(transformer, adapter) as attachment:
        attachment.features = adapter.features(latents)
        plain = predict(transformer, 2)
    seen = {name: calls(adapter.get_submodule(name)) for name in ("traj_extractor", "fuser.1.flow_gamma_spatial")}
    series = calls(adapter.fuser[1].flow_gamma_temporal)
    pipeline = _tiny["t2v"]()
    pipeline.transformer = transformer
    inputs = _tiny["inputs"]()
    with torch.no_grad(), attach(transformer, adapter, cache=cache) as attachment:
        attachment.features = adapter.features(latents)
        pipeline(**inputs)
        assert [len(each) for each in (*seen.values(), series)] == [1, spatial, temporal]
        torch.testing.assert_close(predict(transformer, 2), plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cache", ["spatial", "modulation"])
def test_windows_keep_their_caches(pair: Any, cache: Any):
    """Motions that are given in turn are computed once each, and forgotten when they are let go."""
    transformer, adapter = pair
    used = calls(adapter.fuser[0].flow_gamma_spatial)
    with torch.no_grad(), attach(transformer, adapter, cache=cache) as attachment:
        motions = [adapter.features(_tiny["motion_latents"](seed=seed)) for seed in range(2)]
        found = []
        for index in (0, 1, 0, 1):
            attachment.features = motions[index]
            found.append(predict(transformer))
        assert len(used) == 2
        assert torch.equal(found[0], found[2])
        assert torch.equal(found[1], found[3])
        assert not torch.equal(found[0], found[1])
        kept = weakref.ref(attachment._hooks[0].condition.gamma)  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
        attachment.features = None
        assert kept() is not None
        motions.clear()
        assert kept() is None


def test_caches_belong_to_the_adaptive_norm(pair: Any):
    transformer, _ = pair
    adapter = _tiny["adapter"](transformer, design="extra_channel")
    with pytest.raises(InputError, match="cache: found 'spatial', expected 'features' for this design"):
        attach(transformer, adapter, cache="spatial")
    assert not any(module._forward_hooks for module in transformer.modules())


def test_pipeline_runs_with_it(pair: Any, features: list[Tensor]):
    """Guidance puts two branches into a batch; without features the pipeline's own result, bit for bit."""
    _, adapter = pair
    pipeline = _tiny["t2v"]()
    base = pipeline(**_tiny["inputs"]()).frames
    with attach(pipeline.transformer, adapter) as attachment:
        assert torch.equal(pipeline(**_tiny["inputs"]()).frames, base)
        attachment.features = features
        guided = pipeline(**_tiny["inputs"]()).frames
        assert (guided - base).abs().max() > 1e-2
        assert torch.equal(pipeline(**_tiny["inputs"]()).frames, guided)
    assert torch.equal(pipeline(**_tiny["inputs"]()).frames, base)


def add_lora(transformer: Any) -> None:
    from peft import LoraConfig

    torch.manual_seed(0)
    transformer.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v", "norm1.linear"], init_lora_weights=False))


def cast_layers(transformer: Any) -> None:
    transformer.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)


def offload_groups(transformer: Any) -> None:
    device = torch.device("cpu")
    transformer.enable_group_offload(onload_device=device, offload_device=device, offload_type="leaf_level")


@pytest.mark.parametrize("change", [add_lora, cast_layers, offload_groups])
def test_what_else_is_done_to_the_base(pair: Any, features: list[Tensor], change: Callable[[Any], None]):
    """LoRA, eight-bit weights and offloading before or after attaching; and the base with them when detached."""
    transformer, adapter = pair
    found = []
    for first in (True, False):
        model = _tiny["transformer"]()
        if first:
            change(model)
        with attach(model, adapter) as attachment:
            attachment.features = features
            if not first:
                change(model)
            found.append(predict(model))
        found.append(predict(model))
    change(transformer)
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[1], found[3])
    assert torch.equal(found[1], predict(transformer))
    assert (found[0] - found[1]).abs().max() > 1e-2


@pytest.mark.parametrize("level", ["leaf_level", "block_level"])
def test_offloaded_adapter(pair: Any, features: list[Tensor], level: str):
    transformer, adapter = pair
    device = torch.device("cpu")
    with attach(transformer, adapter) as attachment:
        attachment.features = features
        expected = predict(transformer)
        blocks = {"num_blocks_per_group": 1} if level == "block_level" else {}
        adapter.enable_group_offload(onload_device=device, offload_device=device, offload_type=level, **blocks)
        with torch.no_grad():
            attachment.features = adapter.features(_tiny["motion_latents"]())
        assert torch.equal(predict(transformer), expected)


@pytest.mark.parametrize("design", DESIGNS)
def test_gradient_checkpointing(design: str):
    """A frozen base, as in training: the same gradients of extractor and fusers, none of the base."""
    transformer = _tiny["transformer"]()
    transformer.requires_grad_(False)
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            transformer.enable_gradient_checkpointing()
        transformer.train(checkpointing)
        adapter = _tiny["adapter"](transformer, design=design)
        with attach(transformer, adapter) as attachment:
            attachment.features = adapter.features(_tiny["motion_latents"]())
            transformer(**_tiny["call"](transformer))[0].square().mean().backward()
        gradients.append({name: each.grad for name, each in adapter.named_parameters()})
        assert None not in gradients[-1].values()
    assert all(each.grad is None for each in transformer.parameters())
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-7, rtol=1e-4)
        assert gradient.abs().max() > 0, name


def test_half_precision_base(pair: Any):
    """An adapter as precise as its base, and one kept in float32 for training on a bfloat16 base."""
    transformer, adapter = pair
    latents = _tiny["motion_latents"]()
    with attach(transformer, adapter) as attachment:
        attachment.features = adapter.features(latents)
        exact = predict(transformer)
    transformer.to(torch.bfloat16)
    for dtype in (torch.float32, torch.bfloat16):
        adapter.to(dtype)
        with torch.no_grad(), attach(transformer, adapter) as attachment:
            attachment.features = adapter.features(latents.to(dtype))
            call = _tiny["call"](transformer)
            for name in ("hidden_states", "encoder_hidden_states"):
                call[name] = call[name].bfloat16()
            found = transformer(**call)[0]
        assert found.dtype == torch.bfloat16
        assert (found.float() - exact).norm() < 0.05 * exact.norm()


def test_autocast(pair: Any):
    transformer, adapter = pair
    latents = _tiny["motion_latents"]()
    with torch.no_grad(), attach(transformer, adapter) as attachment:
        attachment.features = adapter.features(latents)
        exact = predict(transformer)
        with torch.autocast("cpu", torch.bfloat16):
            attachment.features = adapter.features(latents)
            found = predict(transformer)
    assert (found.float() - exact).norm() < 0.05 * exact.norm()


class Mirrored:
    """Tokens that lie in another order in this process."""

    def gather(self, hidden: Tensor) -> Tensor:
        return hidden.flip(1)

    def scatter(self, hidden: Tensor) -> Tensor:
        return hidden.flip(1)


def test_shared_tokens(pair: Any, features: list[Tensor]):
    """What a block gets is what the fuser makes of the gathered tokens, scattered again."""
    transformer, adapter = pair
    norm: list[Tensor] = []
    with torch.no_grad(), attach(transformer, adapter) as attachment:
        transformer.transformer_blocks[0].norm1.register_forward_hook(lambda _, args, output: norm.append(output[0]))
        predict(transformer)
        attachment.features, attachment.tokens = features, Mirrored()
        predict(transformer)
        expected = adapter.fuser[0](norm[0].flip(1), features[0]).flip(1)
    assert torch.equal(norm[1], expected)


@pytest.mark.slow
def test_compiled_blocks_see_adapters_come_and_go(monkeypatch: pytest.MonkeyPatch):
    """Traced only, which is where hooks are seen or missed; and traced no more than once for each way to run."""
    from torch._dynamo import config
    from torch._dynamo.utils import counters

    monkeypatch.setattr(config, "skip_nnmodule_hook_guards", True)  # as torch has it
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    torch._dynamo.reset()
    counters.clear()
    transformer = _tiny["transformer"]()
    adapters = [_tiny["adapter"](transformer, seed=seed) for seed in range(2)]
    latents = _tiny["motion_latents"]()

    def guided(adapter: ToraAdapter) -> Tensor:
        with torch.no_grad(), attach(transformer, adapter) as attachment:
            attachment.features = adapter.features(latents)
            return predict(transformer)

    base, *expected = predict(transformer), *map(guided, adapters)
    compile_blocks(transformer)
    for index in (None, 0, 1, None, 0):
        if index is None:
            torch.testing.assert_close(predict(transformer), base)
        else:
            torch.testing.assert_close(guided(adapters[index]), expected[index])
    assert counters["stats"]["unique_graphs"] <= 4  # the first block's tokens lie differently in memory


@pytest.mark.slow
def test_compiled_blocks():
    """All blocks share their compiled code, and go on sharing it for other motions and strengths."""
    if lacking := why_not_compile(torch.device("cpu")):
        pytest.skip(lacking)
    from torch._dynamo.utils import counters

    transformer = _tiny["transformer"](layers=5)
    adapter = _tiny["adapter"](transformer)
    torch._dynamo.reset()
    counters.clear()
    with torch.no_grad(), attach(transformer, adapter) as attachment:
        motions = [adapter.features(_tiny["motion_latents"](seed=seed)) for seed in range(2)]
        settings = [(motions[0], 1.0), (None, 1.0), (motions[1], 1.0), (motions[1], 0.5), (motions[0], 0.7)]
        expected, found = [], []
        for results in (expected, found):
            for attachment.features, attachment.strength in settings:
                results.append(predict(transformer, 2))
            if results is expected:
                assert compile_blocks(transformer) == 5
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    # The first block's tokens lie differently in memory; both are compiled unguided, guided, and guided in part.
    assert counters["stats"]["unique_graphs"] <= 6
    assert not counters["graph_break"]
