"""Step caches: denoising steps that change little reuse what an earlier step computed.

diffusers has the caches; this file chooses those that work on Wan pipelines (seen by counting attention calls, not by
the absence of an error) and adds what a guided run needs: states that never outlive a run, even one that was stopped;
a fresh computation whenever the image condition changes (the edge of a guidance window); and MagCache's ratios by
expert and branch of classifier-free guidance, fitted to the number of steps.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from diffusers.hooks.first_block_cache import FirstBlockCacheConfig
from diffusers.hooks.hooks import BaseState, HookRegistry, ModelHook, StateManager
from diffusers.hooks.mag_cache import _MAG_CACHE_LEADER_BLOCK_HOOK, MagCacheConfig
from diffusers.hooks.taylorseer_cache import TaylorSeerCacheConfig
from torch import Tensor, nn

from motionloom.errors import InputError
from motionloom.models.footprint import blocks_of
from motionloom.models.mag_ratios import Ratios, fit_ratios, load_ratios, save_ratios

Cache = Literal["first-block", "mag", "taylor-seer"]
CACHES: tuple[Cache, ...] = get_args(Cache)
THRESHOLDS: Mapping[str, float] = {"first-block": 0.05, "mag": 0.06}
"""diffusers' own defaults: the relative change of the first block's output, the accumulated error of MagCache."""
REFUSED: Mapping[str, str] = {
    "faster": "FasterCache expects both branches of guidance in one batch; the Wan pipelines run them one by one",
    "sea": "SeaCache needs every step's noise level, which the Wan pipelines do not pass on: it changes nothing",
    "text-kv": "this cache has no effect on Wan",
}  # fmt: skip

_RECORD = "motionloom_record"
_EXPERTS = ("transformer", "transformer_2")
# Names of modules in Wan: without them TaylorSeer matches nothing and changes nothing.
_TAYLOR_SEER_MODULES = [r"blocks\.\d+\.attn1", r"blocks\.\d+\.attn2", r"blocks\.\d+\.ffn"]


@dataclass(frozen=True)
class CacheOptions:
    """Which cache, and how far it may go. Larger numbers are faster and further from the exact result.

    Attributes:
        threshold: see `THRESHOLDS`; 0 skips nothing that changes.
        max_skip_steps, retention_ratio: of MagCache: most steps in a row; the part of the run at its start that is
            never skipped.
        ratios: of MagCache: by `calibrate`, a file of `save_ratios`, or one list for a model of one expert.
        interval: of TaylorSeer: steps from one computation to the next.
    """

    cache: Cache = "first-block"
    threshold: float | None = None
    max_skip_steps: int = 3
    retention_ratio: float = 0.2
    ratios: Ratios | Sequence[float] | str | Path | None = None
    interval: int = 3


def enable(pipeline: Any, options: CacheOptions) -> None:
    """Switch a cache on for every expert of a pipeline; one that is on is replaced.

    Raises:
        InputError: a cache that does not work here, numbers out of range, or MagCache without ratios that fit.
    """
    check(options)
    disable(pipeline)
    experts = _experts(pipeline)
    for name, expert in experts.items():
        if len(blocks_of(expert)) < 2:
            raise InputError(f"cache: {name} has {len(blocks_of(expert))} block, caches need two or more")
    ratios = _ratios_for(options.ratios, list(experts)) if options.cache == "mag" else {}
    threshold = THRESHOLDS.get(options.cache, 0.0) if options.threshold is None else options.threshold
    for name, expert in experts.items():
        fitted = None
        if options.cache == "first-block":
            expert.enable_cache(FirstBlockCacheConfig(threshold=threshold))
        elif options.cache == "taylor-seer":
            expert.enable_cache(
                TaylorSeerCacheConfig(
                    cache_interval=options.interval,
                    cache_identifiers=_TAYLOR_SEER_MODULES,
                    taylor_factors_dtype=expert.dtype,
                )
            )
        else:
            config = MagCacheConfig(
                threshold=threshold,
                max_skip_steps=options.max_skip_steps,
                retention_ratio=options.retention_ratio,
                num_inference_steps=1,
                mag_ratios=[1.0],
            )
            expert.enable_cache(config)
            fitted = _FittedRatios(config, ratios[name], expert)
        expert._motionloom_run_watch = _RunWatch(pipeline, name, expert, fitted)


def disable(pipeline: Any) -> None:
    """Switch caches off; a pipeline without is left alone."""
    for expert in _experts(pipeline).values():
        if expert.is_cache_enabled:
            expert.disable_cache()
        watch = getattr(expert, "_motionloom_run_watch", None)
        if watch is not None:
            watch.remove()
            del expert._motionloom_run_watch


def check(options: CacheOptions) -> None:
    """Refuse options before anything is switched on.

    Raises:
        InputError: see `enable`.
    """
    name = options.cache
    if name not in CACHES:
        known = next((why for key, why in REFUSED.items() if str(name).lower().replace("_", "-").startswith(key)), "")
        because = f" ({known})" if known else ""
        raise InputError(f"cache: found {name!r}{because}, expected one of {', '.join(CACHES)}")
    if options.threshold is not None and not (math.isfinite(options.threshold) and options.threshold >= 0):
        raise InputError(f"cache_threshold: found {options.threshold}, expected zero or more")
    if not 0 <= options.retention_ratio <= 1:
        raise InputError(f"retention_ratio: found {options.retention_ratio}, expected 0 to 1")
    if options.max_skip_steps < 0 or options.interval < 1:
        raise InputError(
            f"max_skip_steps, interval: found {options.max_skip_steps}, {options.interval}, expected >= 0 and >= 1"
        )
    if name == "mag" and options.ratios is None:
        raise InputError(
            "cache: mag needs the ratios of this very model; measure them once with motionloom.models.caches.calibrate "
            "and save_ratios, or use first-block, which needs nothing"
        )


def calibrate(pipeline: Any, call: Callable[[], Any]) -> Ratios:
    """MagCache's ratios of a model, from one run of it without a cache.

    Of consecutive steps, the mean over all tokens of |r_i| / |r_{i-1}|, with r what the blocks add to their input (Ma
    et al., "MagCache", 2025). The first is 1.

    Args:
        call: makes one clip with the pipeline, with the steps and guidance that will be used.
    """
    disable(pipeline)
    recorders: dict[str, _Recorder] = {}
    handles: list[Any] = []
    try:
        for name, expert in _experts(pipeline).items():
            recorders[name] = recorder = _Recorder()
            blocks = blocks_of(expert)
            HookRegistry.check_if_exists_or_initialize(blocks[0]).register_hook(recorder, _RECORD)
            handles.append(blocks[-1].register_forward_hook(recorder.last))
            HookRegistry.check_if_exists_or_initialize(expert).invalidate_child_registries_cache()
        call()
    finally:
        for handle in handles:
            handle.remove()
        for expert in _experts(pipeline).values():
            HookRegistry.check_if_exists_or_initialize(blocks_of(expert)[0]).remove_hook(_RECORD, recurse=False)
            HookRegistry.check_if_exists_or_initialize(expert).invalidate_child_registries_cache()
    return {name: recorder.ratios for name, recorder in recorders.items() if recorder.ratios}


class _RunWatch:
    """Tells the cache of a transformer when what it holds is of no use.

    A call at no smaller a timestep than the one before belongs to a new run. Another image condition than before means
    that the tracks came or went; it is looked at where the transformer embeds it, beneath the hooks that swap it.
    Torch's own hooks do this: one of diffusers on the whole transformer would be lost when a pipeline whose parts take
    turns on the GPU puts its own hooks on anew after a run.
    """

    def __init__(self, pipeline: Any, name: str, expert: Any, ratios: _FittedRatios | None) -> None:
        self._pipeline, self._name, self._expert, self._ratios = weakref.ref(pipeline), name, expert, ratios
        self._seen: dict[str, tuple[float, Tensor | None]] = {}
        self._timestep = 0.0
        self._handles = [expert.register_forward_pre_hook(self._call, with_kwargs=True)]
        self._has_condition = hasattr(expert, "patch_embedding") and expert.config.in_channels > _noise_channels(expert)
        if self._has_condition:
            self._handles.append(expert.patch_embedding.register_forward_pre_hook(self._embed))

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()

    def _call(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        time: Any = kwargs["timestep"] if "timestep" in kwargs else args[1]
        self._timestep = float(time.max() if isinstance(time, Tensor) else time)
        if not self._has_condition:
            self._look(None)

    def _embed(self, module: nn.Module, args: tuple[Tensor]) -> None:
        self._look(args[0][:, _noise_channels(self._expert) :])

    def _look(self, condition: Tensor | None) -> None:
        branch = _branch(self._expert)
        if branch is None:
            return
        timestep, before = self._seen.get(branch, (None, None))
        if timestep is None or self._timestep >= timestep:
            _forget(self._expert, branch, keep_count=False)
            if self._ratios is not None:
                self._ratios.fit(_steps_of(self._pipeline(), self._name))
        elif condition is not None and not _same(condition, before):
            _forget(self._expert, branch, keep_count=True)
        self._seen[branch] = (self._timestep, condition)


@dataclass
class _FittedRatios:
    """Stands where MagCache's hooks look for a list: gives the ratio of the branch that is running."""

    config: MagCacheConfig
    measured: Mapping[str, Sequence[float]]
    expert: Any
    fitted: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._head = blocks_of(self.expert)[0]._diffusers_hook.get_hook(_MAG_CACHE_LEADER_BLOCK_HOOK)
        self.config.mag_ratios = self  # pyright: ignore[reportAttributeAccessIssue]

    def fit(self, steps: int) -> None:
        """Prepare for a run in which this expert makes ``steps`` steps."""
        self.config.num_inference_steps = steps
        self.fitted = {branch: fit_ratios(values, steps) for branch, values in self.measured.items()}

    def __len__(self) -> int:
        return self.config.num_inference_steps

    def __getitem__(self, step: int) -> float:
        # A branch that was not measured (a third call of guidance) changes as the conditional one does.
        branch = self._head.state_manager.context.name
        return self.fitted.get(branch, next(iter(self.fitted.values())))[step]


class _Nothing(BaseState):
    def reset(self, *args: Any, **kwargs: Any) -> None:
        pass


class _Recorder(ModelHook):
    """On the first block of a transformer that is being calibrated: ratios by branch."""

    _is_stateful = True

    def __init__(self) -> None:
        super().__init__()
        # Only to be told the branch: diffusers tells the state managers of hooks.
        self.states = StateManager(_Nothing, (), {})  # pyright: ignore[reportArgumentType]
        self.ratios: dict[str, list[float]] = {}
        self._inputs: Tensor | None = None
        self._norms: dict[str, Tensor] = {}

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        self._inputs = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
        return args, kwargs

    def last(self, block: nn.Module, args: Any, output: Any) -> None:
        """After the last block, as a forward hook of torch."""
        branch = self.states.context.name
        assert self._inputs is not None
        norms = (output - self._inputs).float().norm(dim=-1)
        before = self._norms.get(branch)
        ratio = 1.0 if before is None else float((norms / (before + 1e-8)).mean())
        self.ratios.setdefault(branch, []).append(ratio)
        self._norms[branch], self._inputs = norms, None

    def reset_state(self, module: nn.Module) -> nn.Module:
        self.states.reset()
        self._norms.clear()
        return module


def _branch(transformer: Any) -> str | None:
    """The branch of guidance that is running, as the caches know it."""
    for module in blocks_of(transformer)[0].modules():
        for hook in _hooks_of(module).values():
            for value in vars(hook).values():
                if isinstance(value, StateManager):
                    return None if value._context is None else value._context.name
    return None


def _hooks_of(module: nn.Module) -> dict[str, Any]:
    registry = getattr(module, "_diffusers_hook", None)
    return {} if registry is None else registry.hooks


def _forget(transformer: nn.Module, branch: str, *, keep_count: bool) -> None:
    """Drop what the caches of a branch hold. ``keep_count``: in the middle of a run, whose steps MagCache counts."""
    for module in transformer.modules():
        for hook in _hooks_of(module).values():
            manager = next((value for value in vars(hook).values() if isinstance(value, StateManager)), None)
            if manager is None:
                continue
            state: Any = manager._state_cache.get(branch)
            if keep_count and hasattr(state, "previous_residual"):
                state.previous_residual = None
            else:
                manager._state_cache.pop(branch, None)


def _noise_channels(transformer: Any) -> int:
    """Channels of the input that are the noisy latents; an image-to-video Wan has its condition after them."""
    return int(transformer.config.out_channels)


def _same(condition: Tensor, before: Tensor | None) -> bool:
    return before is not None and condition.shape == before.shape and torch.equal(condition, before)


def _steps_of(pipeline: Any, name: str) -> int:
    """Steps that an expert makes in the run that the scheduler is set up for."""
    if pipeline is None:
        raise InputError("cache: the pipeline that mag was switched on for is gone; switch it on for the one that runs")
    timesteps = pipeline.scheduler.timesteps
    boundary = pipeline.config.get("boundary_ratio")
    if boundary is None or len(_experts(pipeline)) < 2:
        return len(timesteps)
    high = int((timesteps >= boundary * pipeline.scheduler.config.num_train_timesteps).sum())
    return max(high if name == "transformer" else len(timesteps) - high, 1)


def _ratios_for(given: Any, experts: list[str]) -> Ratios:
    if isinstance(given, str | Path):
        given = load_ratios(given)
    if not isinstance(given, Mapping):
        if len(experts) > 1:
            raise InputError(f"mag_ratios: found one list for {len(experts)} experts, expected ratios of `calibrate`")
        given = {experts[0]: {"cond": [float(value) for value in given]}}
    missing = [name for name in experts if not given.get(name) or not all(given[name].values())]
    if missing:
        raise InputError(f"mag_ratios: none for {', '.join(missing)}, found {', '.join(given) or 'nothing'}")
    for name in experts:
        for branch, values in given[name].items():
            if not all(math.isfinite(value) and value > 0 for value in values):
                raise InputError(f"mag_ratios: {name}, {branch}: expected positive numbers, found {values}")
    return {name: dict(given[name]) for name in experts}


def _experts(pipeline: Any) -> dict[str, Any]:
    found = {name: getattr(pipeline, name, None) for name in _EXPERTS}
    return {name: expert for name, expert in found.items() if expert is not None}


__all__ = [
    "CACHES",
    "REFUSED",
    "THRESHOLDS",
    "Cache",
    "CacheOptions",
    "Ratios",
    "calibrate",
    "check",
    "disable",
    "enable",
    "fit_ratios",
    "load_ratios",
    "save_ratios",
]
