"""What several processes share of a CogVideoX pipeline, for which diffusers has no plan.

- Ulysses (arXiv 2309.14509): from the first block to the last every process holds a part of the joint sequence of text
  and video tokens; around the attention of a block the parts are exchanged, so that each process sees all tokens of
  some heads. diffusers' own would need a text and a video that divide, and its attention for CogVideoX does not take
  part in it; here any number of tokens will do. See `motionloom.scale.joint`.
- Halves of the batch: the loop asks for both branches of classifier-free guidance in one call, the unconditional one
  first. One half of the processes computes the one, the other half the other; then they exchange what they predicted.
- Tora's fusers, which look at whole frames: see `motionloom.scale.whole_frames`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.distributed as dist
from diffusers.hooks.hooks import HookRegistry, ModelHook
from diffusers.models.attention_processor import CogVideoXAttnProcessor2_0, FusedCogVideoXAttnProcessor2_0
from diffusers.models.embeddings import apply_rotary_emb
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh

from motionloom.errors import InputError
from motionloom.methods.replaced import replaced
from motionloom.scale.caching import one_decision
from motionloom.scale.joint import Parts, all_tokens_of_some_heads, gathered, some_tokens_of_all_heads
from motionloom.scale.whole_frames import WholeFrames

_HALVES_HOOK = "motionloom_halves"
_PER_VIDEO = ("hidden_states", "encoder_hidden_states", "timestep", "timestep_cond", "ofs")
_PROCESSORS = (CogVideoXAttnProcessor2_0, FusedCogVideoXAttnProcessor2_0)


@contextmanager
def ulysses(transformer: CogVideoXTransformer3DModel, mesh: DeviceMesh) -> Iterator[None]:
    """While inside, every call of the transformer is shared by the processes of the mesh.

    Raises:
        InputError: it is shared already, or its attention is not CogVideoX's own.
    """
    sharing = SequenceSharing(mesh.get_group(), mesh.size(), mesh.get_local_rank())
    before = dict(transformer.attn_processors)
    for name, processor in before.items():
        if isinstance(processor, SharedAttention):
            raise InputError("gpus: this transformer is shared by several processes already")
        if type(processor) not in _PROCESSORS:
            raise InputError(
                f"gpus: found the attention {type(processor).__name__} in {name.removesuffix('.processor')}, expected "
                "CogVideoX's own; take it off, or use one GPU"
            )
    blocks: Any = transformer.transformer_blocks
    handles = [
        blocks[0].register_forward_pre_hook(sharing.divide, with_kwargs=True),
        transformer.proj_out.register_forward_hook(sharing.unite),
    ]
    shared: dict[str, Any] = {name: SharedAttention(sharing, stock) for name, stock in before.items()}
    transformer.set_attn_processor(shared)
    try:
        yield
    finally:
        transformer.set_attn_processor(before)
        for handle in handles:
            handle.remove()
        sharing.frames.leave(blocks[0])


class SequenceSharing:
    """One transformer's sequence on several processes: divided before the first block, whole after the last layer.

    Attributes:
        parts: of the call that is going on.
        frames: sees to an adapter.
    """

    def __init__(self, group: Any, world: int, rank: int) -> None:
        self.group, self.world, self.rank = group, world, rank
        self.parts = Parts(0, 0, world, rank)
        self.frames = WholeFrames(group)

    def divide(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Before the first block: keep the own part of its video and text tokens."""
        given = inspect.signature(type(module).forward).bind(module, *args, **kwargs).arguments
        given.pop("self")
        video, text = given["hidden_states"], given["encoder_hidden_states"]
        self.parts = Parts(text.shape[1], video.shape[1], self.world, self.rank)
        self.frames.follow(module, self.parts)
        own = {"hidden_states": video[:, self.parts.own_video], "encoder_hidden_states": text[:, self.parts.own_text]}
        return (), {**given, **own}

    def unite(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        """After the last layer, whose tokens are the smallest: those of all processes."""
        return gathered(output, self.parts.video_lengths, self.group)


class SharedAttention:
    """CogVideoX's attention of which this process computes some heads, for all tokens.

    Args:
        sharing: of the transformer.
        stock: the processor it stands for.
    """

    def __init__(self, sharing: SequenceSharing, stock: Any) -> None:
        self.sharing = sharing
        self.fused = isinstance(stock, FusedCogVideoXAttnProcessor2_0)

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        if attention_mask is not None:
            raise InputError("gpus: an attention mask cannot be shared by several processes; use one GPU")
        parts, group, text = self.sharing.parts, self.sharing.group, encoder_hidden_states.shape[1]
        tokens = torch.cat([encoder_hidden_states, hidden_states], dim=1)
        three = attn.to_qkv(tokens).chunk(3, dim=-1) if self.fused else [to(tokens) for to in _projections(attn)]
        query, key, value = (each.unflatten(-1, (attn.heads, -1)) for each in three)
        if attn.norm_q is not None:
            query = attn.norm_q(query)
        if attn.norm_k is not None:
            key = attn.norm_k(key)
        if image_rotary_emb is not None and tokens.shape[1] > text:
            own = tuple(table[parts.own_video] for table in image_rotary_emb)
            query, key = (_rotated(each, text, own) for each in (query, key))
        # One exchange for all three: fewer, larger messages.
        exchanged = all_tokens_of_some_heads(torch.cat([query, key, value], dim=-1), parts, group)
        query, key, value = exchanged.chunk(3, dim=-1)
        found = nn.functional.scaled_dot_product_attention(query, key, value)
        tokens = some_tokens_of_all_heads(found, parts, group).flatten(2)
        tokens = attn.to_out[1](attn.to_out[0](tokens))
        return tokens[:, text:], tokens[:, :text]


def _projections(attn: Any) -> tuple[Any, Any, Any]:
    return attn.to_q, attn.to_k, attn.to_v


def _rotated(each: Tensor, text: int, table: tuple[Tensor, ...]) -> Tensor:
    """Queries or keys [B, S, H, D] with the rotary table [S - text, D] on those of the video."""
    rotated: Any = apply_rotary_emb(each[:, text:], table, sequence_dim=1)  # pyright: ignore[reportArgumentType]
    return torch.cat([each[:, :text], rotated], dim=1)


@contextmanager
def two_halves(
    transformer: CogVideoXTransformer3DModel, mesh: DeviceMesh, videos: Callable[[], int | None]
) -> Iterator[None]:
    """While inside, each of the two processes of the mesh makes one branch of a guided call.

    Args:
        videos: how many the loop makes; a call for twice as many is a guided one. Told by the pipeline, whose own
            guidance scale changes from step to step and need not be above 1 in each.

    Raises:
        InputError: it is shared already.
    """
    registry = HookRegistry.check_if_exists_or_initialize(transformer)
    if _HALVES_HOOK in registry.hooks:
        raise InputError("gpus: this transformer is shared by several processes already")
    registry.register_hook(HalvesHook(mesh.get_local_rank(), mesh.get_group(), videos), _HALVES_HOOK)
    try:
        yield
    finally:
        registry.remove_hook(_HALVES_HOOK, recurse=False)


class HalvesHook(ModelHook):
    """Computes one half of a doubled batch on this process, while its partner computes the other."""

    def __init__(self, half: int, group: Any, videos: Callable[[], int | None]) -> None:
        super().__init__()
        self.half, self.group, self.videos = half, group, videos

    def new_forward(self, module: Any, *args: Any, **kwargs: Any) -> Any:
        forward: Any = self.fn_ref.original_forward
        given = inspect.signature(type(module).forward).bind(module, *args, **kwargs).arguments
        given.pop("self")
        batch, videos = given["hidden_states"].shape[0], self.videos()
        if videos is None or batch != 2 * videos:
            return forward(**given)
        for name in _PER_VIDEO:
            value = given.get(name)
            if isinstance(value, Tensor) and value.ndim and value.shape[0] == batch:
                given[name] = value[self.half * videos :][:videos]
        output = forward(**given)
        predicted = output[0].contiguous()
        halves = [torch.empty_like(predicted) for _ in range(2)]
        dist.all_gather(halves, predicted, group=self.group)
        both = torch.cat(halves)
        return (both,) if isinstance(output, tuple) else type(output)(sample=both)


@contextmanager
def same_steps(scheduler: Any) -> Iterator[None]:
    """While inside, all processes go on from process 0's latents after every step.

    The solver of the published program draws noise in every step, and a caller may have seeded it differently or not
    at all.
    """
    stock: Callable[..., Any] = scheduler.step

    @functools.wraps(stock)
    def step(*args: Any, **kwargs: Any) -> Any:
        output = stock(*args, **kwargs)
        if not isinstance(output, tuple):
            output.prev_sample = _of_first(output.prev_sample)
            return output
        return (_of_first(output[0]), *output[1:])

    with replaced(scheduler, step=step):
        yield


def _of_first(tensor: Tensor) -> Tensor:
    tensor = tensor.contiguous()
    dist.broadcast(tensor, src=0)
    return tensor


@contextmanager
def divided(
    pipeline: Any, transformer: CogVideoXTransformer3DModel, mesh: DeviceMesh, videos: Callable[[], int | None]
) -> Iterator[None]:
    """While inside, the calls of the transformer are shared by all processes of the mesh (cfg, ring, ulysses)."""
    with ExitStack() as stack:
        stack.enter_context(same_steps(pipeline.scheduler))
        if mesh["ulysses"].size() > 1:
            stack.enter_context(ulysses(transformer, mesh["ulysses"]))
        if mesh["cfg"].size() > 1:
            stack.enter_context(two_halves(transformer, mesh["cfg"], videos))
        # Both branches are in one call, so one process would decide for both.
        stack.enter_context(one_decision(transformer.transformer_blocks, dist.group.WORLD))
        yield
