"""How many processes share what: a pure choice, made before any of them computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from motionloom.errors import InputError


@dataclass(frozen=True)
class Degrees:
    """How ``ulysses * cfg`` processes share one video.

    Attributes:
        ulysses: processes that share every transformer call, each with a part of the tokens and, inside the attention,
            a part of the heads (DeepSpeed-Ulysses, arXiv 2309.14509).
        cfg: 2 where one half of the processes makes the conditional branch of a step and the other half the
            unconditional one, at the same time; otherwise 1.
    """

    ulysses: int = 1
    cfg: int = 1

    def __post_init__(self) -> None:
        if self.ulysses < 1 or self.cfg not in (1, 2):
            raise InputError(f"degrees: found {self.ulysses} and {self.cfg}, expected at least 1, and 1 or 2")

    @property
    def world(self) -> int:
        """Processes in all."""
        return self.ulysses * self.cfg

    def __str__(self) -> str:
        parts = [f"ulysses {self.ulysses}"] * (self.ulysses > 1) + [f"cfg {self.cfg}"] * (self.cfg > 1)
        return " x ".join(parts) or "one process"


def choose_degrees(world: int, heads: int, tokens: int | None, guided: bool) -> Degrees:
    """The degrees that keep ``world`` processes busy with one video.

    The two branches of a guided step share nothing, so they are separated first; tokens are divided by what remains.

    Args:
        world: processes.
        heads: attention heads of the transformer.
        tokens: of one transformer call, see `tokens_of`; None where parts may differ in length.
        guided: whether a step has two branches (classifier-free guidance).

    Raises:
        InputError: tokens or heads do not divide; says which, and which numbers of processes would do.
    """
    if world < 1:
        raise InputError(f"gpus: found {world}, expected at least 1")
    degrees = _separate(world, guided)
    if _divides(degrees, heads, tokens):
        return degrees
    each = degrees.ulysses
    found = [f"{heads} attention heads"] * (heads % each > 0) + [f"{tokens} tokens"] * ((tokens or 0) % each > 0)
    others = [n for n in range(1, max(world, 8) + 1) if _divides(_separate(n, guided), heads, tokens)]
    remedy = "" if heads % each else ", or choose another size or number of frames"
    half = " (so many make each branch of guidance)" if degrees.cfg == 2 else ""
    raise InputError(
        f"gpus: {world} cannot share this video: {' and '.join(found)} cannot be divided by {each}{half}; "
        f"{_listed(others)} would do{remedy}"
    )


def degrees_for(pipeline: Any, *, size: tuple[int, int], num_frames: int, guidance_scale: float, world: int) -> Degrees:
    """`choose_degrees` for one run of a Wan or CogVideoX pipeline; size is (height, width) of the video.

    Raises:
        InputError: not a pipeline that can be shared, or numbers that do not divide.
    """
    transformer: Any = next(iter(experts_of(pipeline)), None)
    known = is_cogvideox(transformer) or getattr(transformer, "_cp_plan", None) is not None
    if not known or not hasattr(pipeline, "vae_scale_factor_temporal"):
        raise InputError(
            f"gpus: a {type(pipeline).__name__} cannot be shared by several processes, models of the Wan and CogVideoX "
            "families can; use one GPU"
        )
    tokens = None if is_cogvideox(transformer) else tokens_of(pipeline, transformer, size, num_frames)
    return choose_degrees(world, transformer.config.num_attention_heads, tokens, guidance_scale > 1)


def tokens_of(pipeline: Any, transformer: Any, size: tuple[int, int], num_frames: int) -> int:
    """Video tokens of one transformer call: latent frames x rows x columns, in patches."""
    strides = pipeline.vae_scale_factor_temporal, pipeline.vae_scale_factor_spatial
    latent = (num_frames - 1) // strides[0] + 1, size[0] // strides[1], size[1] // strides[1]
    patch = transformer.config.patch_size
    if isinstance(patch, int):
        patch = transformer.config.patch_size_t or 1, patch, patch
    # Where patches are two latent frames long, CogVideoX fills up the first.
    return -(-latent[0] // patch[0]) * (latent[1] // patch[1]) * (latent[2] // patch[2])


def experts_of(pipeline: Any) -> list[Any]:
    """The transformers of a pipeline."""
    found = [getattr(pipeline, name, None) for name in ("transformer", "transformer_2")]
    return [transformer for transformer in found if transformer is not None]


def is_cogvideox(transformer: Any) -> bool:
    from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel

    return isinstance(transformer, CogVideoXTransformer3DModel)


def _separate(world: int, guided: bool) -> Degrees:
    return Degrees(world // 2, 2) if guided and world % 2 == 0 else Degrees(world, 1)


def _divides(degrees: Degrees, heads: int, tokens: int | None) -> bool:
    return heads % degrees.ulysses == 0 and (tokens or 0) % degrees.ulysses == 0


def _listed(numbers: list[int]) -> str:
    words = [str(number) for number in numbers]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
