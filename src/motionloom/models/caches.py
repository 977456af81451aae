"""Step caches: denoising steps that change little reuse what an earlier step computed.

diffusers has the caches; this file chooses those that work on Wan pipelines (seen by counting attention calls, not by
the absence of an error) and adds what a guided run needs: states that never outlive a run, even one that was stopped;
a fresh computation whenever the image condition changes (the edge of a guidance window); and MagCache's ratios by
expert and branch of classifier-free guidance, fitted to the number of steps.
"""

from __future__ import annotations

import json
import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from diffusers.hooks.first_block_cache import FirstBlockCacheConfig
from diffusers.hooks.hooks import BaseState, HookRegistry, ModelHook, StateManager
from diffusers.hooks.mag_cache import _MAG_CACHE_LEADER_BLOCK_HOOK, MagCacheConfig
from diffusers.hooks.taylorseer_cache import TaylorSeerCacheConfig
from torch import Tensor, nn

from motionloom.errors import FileFormatError, InputError
from motionloom.models.footprint import blocks_of

Cache = Literal["first-block", "mag", "taylor-seer"]
CACHES: tuple[Cache, ...] = get_args(Cache)
THRESHOLDS: Mapping[str, float] = {"first-block": 0.05, "mag": 0.06}
"""diffusers' own defaults: the relative change of the first block's output, the accumulated error of MagCache."""
REFUSED: Mapping[str, str] = {
    "faster": "FasterCache expects both branches of guidance in one batch; the Wan pipelines run them one by one",
    "sea": "SeaCache needs every step's noise level, which the Wan pipelines do not pass on: it changes nothing",
    "text-kv": "this cache has no effect on Wan",
}  # fmt: skip

Ratios = dict[str, dict[str, list[float]]]
"""MagCache's magnitude ratios, one per step: by expert ("transformer", "transformer_2") and branch ("cond", ...)."""

_FORMAT = "motionloom.mag-ratios"
_WATCH, _RECORD = "motionloom_run_watch", "motionloom_record"
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
        registry = HookRegistry.check_if_exists_or_initialize(expert)
        registry.register_hook(_RunWatch(pipeline, name, fitted), _WATCH)


def disable(pipeline: Any) -> None:
    """Switch caches off; a pipeline without is left alone."""
    for expert in _experts(pipeline).values():
        if expert.is_cache_enabled:
            expert.disable_cache()
        registry = getattr(expert, "_diffusers_hook", None)
        if registry is not None:
            registry.remove_hook(_WATCH, recurse=False)


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
            HookRegistry.check_if_exists_or_initialize(expert).register_hook(recorder, _RECORD)
            blocks = blocks_of(expert)
            handles.append(blocks[0].register_forward_pre_hook(recorder.before, with_kwargs=True))
            handles.append(blocks[-1].register_forward_hook(recorder.after))
        call()
    finally:
        for handle in handles:
            handle.remove()
        for expert in _experts(pipeline).values():
            expert._diffusers_hook.remove_hook(_RECORD, recurse=False)
    return {name: recorder.ratios for name, recorder in recorders.items() if recorder.ratios}


def save_ratios(path: str | Path, ratios: Ratios, *, model: str = "") -> None:
    """Write ratios as JSON, with the name of the model they belong to."""
    record = {"format": _FORMAT, "version": 1, "model": model, "ratios": ratios}
    Path(path).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def load_ratios(path: str | Path) -> Ratios:
    """Read a file of `save_ratios`.

    Raises:
        FileFormatError: another file.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
        if record["format"] != _FORMAT or record["version"] != 1:
            raise ValueError(f"found {record['format']!r}, version {record['version']}")
        return {
            str(expert): {str(branch): [float(value) for value in values] for branch, values in branches.items()}
            for expert, branches in record["ratios"].items()
        }
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(
            f"{path}: no magnitude ratios ({' '.join(str(error).split())[:120]}), expected a file that "
            "motionloom.models.caches.save_ratios wrote"
        ) from error


def fit_ratios(ratios: Sequence[float], steps: int) -> list[float]:
    """Ratios measured with one number of steps for another: the magnitudes they multiply up to, read at other places.

    The same number of steps gives the same ratios. More steps are closer to each other, hence ratios closer to 1.
    """
    if steps <= 1 or len(ratios) == 1:
        return [1.0] * steps
    if steps == len(ratios):
        return [float(value) for value in ratios]
    curve = np.cumsum(np.log(np.maximum(np.asarray(ratios, np.float64), 1e-6)))
    at = np.interp(np.linspace(0, 1, steps), np.linspace(0, 1, len(ratios)), curve)
    return [1.0, *(math.exp(after - before) for before, after in pairwise(at))]


@dataclass
class _Seen(BaseState):
    """What the last call of a branch was about."""

    timestep: float | None = None
    condition: Tensor | None = None

    def reset(self, *args: Any, **kwargs: Any) -> None:
        self.timestep = self.condition = None


class _RunWatch(ModelHook):
    """On a transformer, inside all other hooks on its inputs: tells its cache when what it holds is of no use.

    A call at no smaller a timestep than the one before belongs to a new run. Another image condition than before means
    that the tracks came or went.
    """

    _is_stateful = True

    def __init__(self, pipeline: Any, name: str, ratios: _FittedRatios | None) -> None:
        super().__init__()
        self.states = StateManager(_Seen, (), {})  # pyright: ignore[reportArgumentType]
        self.pipeline, self.name, self.ratios = weakref.ref(pipeline), name, ratios

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        hidden: Tensor = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
        time: Any = kwargs["timestep"] if "timestep" in kwargs else args[1]
        seen: Any = self.states.get_state()
        branch = self.states.context.name
        timestep = float(time.max() if isinstance(time, Tensor) else time)
        condition = _condition(module, hidden)
        if seen.timestep is None or timestep >= seen.timestep:
            _forget(module, branch, keep_count=False)
            if self.ratios is not None:
                self.ratios.fit(_steps_of(self.pipeline(), self.name))
        elif condition is not None and not _same(condition, seen.condition):
            _forget(module, branch, keep_count=True)
        seen.timestep, seen.condition = timestep, condition
        return args, kwargs

    def reset_state(self, module: nn.Module) -> nn.Module:
        self.states.reset()
        return module


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


class _Recorder(ModelHook):
    """On a transformer that is being calibrated: ratios by branch."""

    _is_stateful = True

    def __init__(self) -> None:
        super().__init__()
        self.states = StateManager(_Seen, (), {})  # pyright: ignore[reportArgumentType]
        self.ratios: dict[str, list[float]] = {}
        self._inputs: Tensor | None = None
        self._norms: dict[str, Tensor] = {}

    def before(self, block: nn.Module, args: Any, kwargs: Any) -> None:
        self._inputs = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]

    def after(self, block: nn.Module, args: Any, output: Any) -> None:
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


def _forget(transformer: nn.Module, branch: str, *, keep_count: bool) -> None:
    """Drop what the caches of a branch hold. ``keep_count``: in the middle of a run, whose steps MagCache counts."""
    for module in transformer.modules():
        registry = getattr(module, "_diffusers_hook", None)
        for name, hook in () if registry is None else registry.hooks.items():
            manager = next((value for value in vars(hook).values() if isinstance(value, StateManager)), None)
            if manager is None or name in (_WATCH, _RECORD):
                continue
            state: Any = manager._state_cache.get(branch)
            if keep_count and hasattr(state, "previous_residual"):
                state.previous_residual = None
            else:
                manager._state_cache.pop(branch, None)


def _condition(transformer: Any, hidden: Tensor) -> Tensor | None:
    """The image condition in the input of an image-to-video Wan transformer: the channels after the noise."""
    channels, noise = int(transformer.config.in_channels), int(transformer.config.out_channels)
    return hidden[:, noise:] if channels > noise and hidden.shape[1] == channels else None


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
