"""The fast preset: compiled blocks, the best attention kernel that works here, and a step cache.

Compiling and attention kernels change a clip by rounding; a cache changes the picture. All of it composes with track
guidance (hooks on the transformers' inputs), LoRAs and memory plans; `apply_fast` comes last, after LoRAs and plan.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from motionloom.errors import InputError
from motionloom.models import caches
from motionloom.models.caches import Cache, CacheOptions, Ratios
from motionloom.models.footprint import blocks_of

# Kernels that compute the same attention, by how fast they are known to be, for Hopper and for other GPUs. The first
# that proves itself is taken; nothing is timed, so that one machine always takes the same.
_HOPPER = ("_flash_3", "_native_cudnn", "flash", "native")
_CUDA = ("flash", "_native_cudnn", "native")
# Largest relative difference to plain attention: 16-bit rounding, and the 8-bit kernels of SageAttention.
_TOLERANCE, _TOLERANCE_8BIT = 0.03, 0.15


@dataclass(frozen=True)
class FastOptions:
    """What `--fast` switches on.

    Attributes:
        compile: the transformer's blocks, with torch.compile. None: on a GPU where a compiler is at hand.
        attention: a backend of diffusers by name; "auto": the fastest exact one that works on this machine. The 8-bit
            ones ("sage", ...) are faster, change the picture, and have to be asked for.
        cache: see `motionloom.models.caches`; None: no step is skipped, and the clip differs by rounding only.
        cache_threshold, max_skip_steps, retention_ratio, mag_ratios, cache_interval: see `CacheOptions`.
        few_steps: the run uses the model's few-step LoRAs (`FEW_STEPS` of the Euler solver, no text guidance). A cache
            is left out: so few steps have nothing in common that could be skipped.
    """

    compile: bool | None = None
    attention: str = "auto"
    cache: Cache | None = "first-block"
    cache_threshold: float | None = None
    max_skip_steps: int = 3
    retention_ratio: float = 0.2
    mag_ratios: Ratios | Sequence[float] | str | Path | None = None
    cache_interval: int = 3
    few_steps: bool = False

    @property
    def cache_options(self) -> CacheOptions | None:
        """As `caches.enable` takes them; None for no cache."""
        if self.cache is None or self.few_steps:
            return None
        return CacheOptions(
            cache=self.cache,
            threshold=self.cache_threshold,
            max_skip_steps=self.max_skip_steps,
            retention_ratio=self.retention_ratio,
            ratios=self.mag_ratios,
            interval=self.cache_interval,
        )


FEW_STEPS = 4
"""Steps that the published few-step LoRAs of Wan are made for."""


def apply_fast(pipeline: Any, options: FastOptions = FastOptions()) -> list[str]:
    """Make a pipeline fast, as far as this machine can.

    Returns:
        One line for each thing: what was switched on, or why it was not.

    Raises:
        InputError: options that cannot work anywhere; what this machine lacks is only said in the lines.
    """
    if options.cache_options is not None:
        caches.check(options.cache_options)
    device = pipeline._execution_device
    lines = [_set_attention(pipeline, options.attention, device), _compile(pipeline, options, device)]
    if options.cache_options is not None:
        try:
            caches.enable(pipeline, options.cache_options)
            lines.append(f"cache: {_describe(options.cache_options)}; changes the picture a little")
        except InputError as error:
            if "two or more" not in str(error):
                raise
            lines.append(f"{error}: off")
    else:
        why = f"{FEW_STEPS} steps have nothing to spare" if options.few_steps else "not asked for"
        lines.append(f"cache: off, {why}")
    return lines


def remove_fast(pipeline: Any) -> None:
    """Switch off what `apply_fast` switched on; blocks that are compiled already stay so, which changes nothing."""
    caches.disable(pipeline)
    with _global_attention_kept():
        for expert in _experts(pipeline):
            expert.reset_attention_backend()


def why_not_attention(transformer: Any, name: str, device: torch.device) -> str | None:
    """Why an attention backend cannot be used on this machine; None where it can.

    It is tried on a few tokens of the transformer's own head size and type, for self- and cross-attention, and must
    agree with plain attention.
    """
    from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn

    try:
        with _global_attention_kept():
            transformer.set_attention_backend(name)
    except (ValueError, RuntimeError, ImportError, OSError) as error:
        return _first_sentence(error)
    config = transformer.config
    draw = torch.Generator().manual_seed(0)
    width = int(config.attention_head_dim)
    dtype = transformer.dtype
    try:
        for keys in (128, 77):
            q, k, v = (torch.randn(1, n, 2, width, generator=draw).to(device, dtype) for n in (128, keys, keys))
            found = dispatch_attention_fn(q, k, v, backend=AttentionBackendName(name)).float()
            expected = dispatch_attention_fn(q.float(), k.float(), v.float(), backend=AttentionBackendName._NATIVE_MATH)
            error = float((found - expected).norm() / expected.norm())
            limit = _TOLERANCE_8BIT if "sage" in name else _TOLERANCE
            if not error <= limit:
                return f"differs from plain attention by {error:.0%}"
    except Exception as error:  # kernels raise whatever they like
        return _first_sentence(error)
    return None


def compile_blocks(transformer: Any) -> int:
    """Compile the repeated blocks of a transformer, each beneath all hooks on it; returns how many were compiled now.

    What `compile_repeated_blocks` does compiles the hooks too: a cache or an offloaded block then breaks the graph, and
    MagCache, whose hooks forbid compiling, leaves nothing compiled at all.
    """
    from torch._dynamo import config

    # By default compiled code does not look whether modules in it have got or lost hooks, and an adapter that is
    # attached for the length of a call (Tora) would do nothing from the second call on. Looking takes microseconds.
    config.skip_nnmodule_hook_guards = False
    count = 0
    for block in blocks_of(transformer):
        if getattr(block, "_motionloom_compiled", False):
            continue
        registry = getattr(block, "_diffusers_hook", None)
        if registry is None or not registry._fn_refs:
            block.forward = torch.compile(block.forward)
        else:
            innermost = registry._fn_refs[0]
            name = "forward" if innermost.original_forward is None else "original_forward"
            setattr(innermost, name, torch.compile(getattr(innermost, name)))
        block._motionloom_compiled = True
        count += 1
    return count


def why_not_compile(device: torch.device) -> str | None:
    """What torch.compile lacks on this machine; None where it can work."""
    compiler = os.environ.get("CXX") or next(filter(shutil.which, ("g++", "clang++", "c++", "cl")), None)
    if compiler is None or shutil.which(compiler.split()[0]) is None:
        return "no C++ compiler was found (g++ or clang++ on the PATH, or named in CXX)"
    if device.type == "cuda":
        if importlib.util.find_spec("triton") is None:
            return "the package triton is missing"
        if torch.cuda.get_device_capability(device) < (7, 0):
            return "the GPU is older than what triton compiles for (compute capability 7.0)"
    return None


def _compile(pipeline: Any, options: FastOptions, device: torch.device) -> str:
    if options.compile is False:
        return "compile: off, not asked for"
    if options.compile is None and device.type == "cpu":
        return "compile: off, on a CPU it takes longer than it saves"
    if options.cache == "taylor-seer" and options.cache_options is not None:
        return "compile: off, TaylorSeer's hooks are inside the blocks"
    lacking = why_not_compile(device)
    if lacking is not None:
        return f"compile: off, {lacking}"
    count = sum(compile_blocks(expert) for expert in _experts(pipeline))
    return f"compile: {count or 'all'} blocks; the first step of a new size takes longer"


def _set_attention(pipeline: Any, wanted: str, device: torch.device) -> str:
    experts = _experts(pipeline)
    if wanted != "auto":
        names: Sequence[str] = (_known_backend(wanted), "native")
    elif device.type == "cuda":
        names = _HOPPER if torch.cuda.get_device_capability(device)[0] == 9 else _CUDA
    else:
        names = ("native",)
    refused: list[str] = []
    chosen = names[-1]
    for name in dict.fromkeys(names):
        why = why_not_attention(experts[0], name, device)
        if why is None:
            chosen = name
            break
        refused.append(f"{name}: {why}")
    with _global_attention_kept():
        for expert in experts:
            expert.set_attention_backend(chosen)
    return f"attention: {chosen}" + (f" (not {'; not '.join(refused)})" if refused else "")


def _known_backend(name: str) -> str:
    from diffusers.models.attention_dispatch import AttentionBackendName

    names = [backend.value for backend in AttentionBackendName if not backend.value.endswith("_hub")]
    if name.endswith("_hub"):
        raise InputError(
            f"attention: {name} fetches compiled code from a hub when it is first used, which is not done here; "
            "install the package and use its name without _hub"
        )
    if name not in names:
        raise InputError(f"attention: found {name!r}, expected auto or one of {', '.join(names)}")
    return name


@contextmanager
def _global_attention_kept() -> Iterator[None]:
    """Setting a model's backend also sets diffusers' default for every other model, and warns; not here."""
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry
    from diffusers.utils import logging

    before, verbosity = _AttentionBackendRegistry._active_backend, logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        _AttentionBackendRegistry._active_backend = before
        logging.set_verbosity(verbosity)


def _describe(options: CacheOptions) -> str:
    if options.cache == "taylor-seer":
        return f"taylor-seer, every step of {options.interval} computed"
    threshold = caches.THRESHOLDS[options.cache] if options.threshold is None else options.threshold
    text = f"{options.cache}, threshold {threshold:g}"
    return text + (f", at most {options.max_skip_steps} steps in a row" if options.cache == "mag" else "")


def _experts(pipeline: Any) -> list[Any]:
    found = (getattr(pipeline, name, None) for name in ("transformer", "transformer_2"))
    return [expert for expert in found if expert is not None]


def _first_sentence(error: BaseException) -> str:
    return " ".join(str(error).split())[:160].split(". ")[0] or type(error).__name__
