"""What every training holds and a checkpoint keeps: weights, their average, the optimiser, and how far it is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from motionloom.errors import CheckpointError


class TrainingState:
    """The state of training one module.

    Args:
        module: what is trained; parameters that need no gradient are kept as they are.
        optimizer: of its parameters.
        averaging: share of the running average that stays at a step; less during the first ones.

    Attributes:
        average: running average of the module's state, in float32 where it is of numbers.
        step, elapsed: how many steps were made, in how many seconds.
    """

    def __init__(self, module: torch.nn.Module, optimizer: torch.optim.Optimizer, *, averaging: float) -> None:
        self.module, self.optimizer, self.averaging = module, optimizer, averaging
        self.average = {
            name: value.detach().clone().float() if value.is_floating_point() else value.detach().clone()
            for name, value in module.state_dict().items()
        }
        self.step, self.elapsed = 0, 0.0

    def add(self, loss: torch.Tensor) -> None:
        """The gradients of a loss, added to those of others since the last `update`.

        Raises:
            CheckpointError: the loss is not a number; no weight is changed.
        """
        self._check("loss", loss.detach())
        loss.backward()

    def update(self, *, learning_rate: float, clip: float) -> None:
        """One step along the gradients, clipped to the norm ``clip``; the average moves on.

        Raises:
            CheckpointError: the gradients are no numbers; no weight is changed.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        self._check("gradient", torch.nn.utils.clip_grad_norm_(trained, clip))
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        keep = min(self.averaging, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.module.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value.float(), 1 - keep)
                else:
                    self.average[name].copy_(value)
        self.step += 1

    def run(
        self,
        steps: Iterable[dict[str, Any]],
        checkpoint: Path,
        recipe: Mapping[str, Any],
        *,
        save_every: float,
        log_to: Path | None = None,
        on_progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Make the steps, and write checkpoints on the way and where they end, by whatever way.

        Args:
            steps: makes a step for each item, which are the facts about it.
            checkpoint, recipe: see `save`.
            save_every: seconds.
            log_to: folder whose log the facts are written to.
            on_progress: called with the facts; raise to stop.
        """
        begun, saved = self.step, time.monotonic()
        try:
            for facts in steps:
                if log_to is not None:
                    log(log_to, facts)
                if time.monotonic() - saved >= save_every:
                    self.save(checkpoint, recipe)
                    saved = time.monotonic()
                if on_progress:
                    on_progress(facts)
        finally:
            if self.step > begun:  # at full size a checkpoint has 11 GB
                self.save(checkpoint, recipe)

    def save(self, path: Path, recipe: Mapping[str, Any]) -> None:
        """Write a checkpoint, replacing an earlier one in one step."""
        tensors = {f"model.{k}": v for k, v in self.module.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{k}": v for k, v in state.items()}
        tensors = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        facts = {"step": self.step, "elapsed": self.elapsed, "recipe": recipe}
        draft = path.with_suffix(".partial")
        save_file(tensors, draft, metadata={"training": json.dumps(facts)})
        draft.replace(path)

    def load(self, path: Path, recipe: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> None:
        """Go on from a checkpoint.

        Args:
            recipe: must be the one that the checkpoint was made with.
            defaults: stand for what an earlier version did not record.

        Raises:
            CheckpointError: it belongs to another recipe, naming what differs; or it cannot be read.
        """
        try:
            with safe_open(path, "pt") as file:
                facts = json.loads((file.metadata() or {}).get("training", "{}"))
        except SafetensorError as error:
            raise CheckpointError(f"{path}: is damaged ({error}); train again in another folder") from error
        wanted = json.loads(json.dumps(recipe))
        found = {**json.loads(json.dumps(defaults or {})), **facts.get("recipe", {})}
        different = [key for key in wanted if found.get(key, ...) != wanted[key]]
        if different:
            raise CheckpointError(
                f"{path}: trained with another recipe (different: {', '.join(different)}); "
                "use the same options, or another folder"
            )
        tensors = load_file(path)
        self.module.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        for name, value in self.average.items():
            value.copy_(tensors[f"average.{name}"])
        state = self.optimizer.state_dict()
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".", 2)
                state["state"].setdefault(int(index), {})[key] = value
        self.optimizer.load_state_dict(state)
        self.step, self.elapsed = facts["step"], facts["elapsed"]

    def _check(self, name: str, value: torch.Tensor) -> None:
        if not torch.isfinite(value):
            raise CheckpointError(
                f"training: the {name} became {float(value)} at step {self.step}; what was learnt before is kept. "
                "Train again in another folder, with a smaller learning rate"
            )


def log(folder: Path, facts: Mapping[str, Any]) -> None:
    """Append a line to the log of a training, ``log.jsonl``."""
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")


def adamw(parameters: Iterable[torch.nn.Parameter], learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW with betas 0.9 and 0.95; biases and other vectors do not decay."""
    trained = [p for p in parameters if p.requires_grad]
    decayed, plain = [p for p in trained if p.ndim >= 2], [p for p in trained if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.95), eps=1e-8, fused=True)


def mixed_precision(device: torch.device) -> AbstractContextManager[Any]:
    """bfloat16 autocast where the hardware multiplies it fast, nothing elsewhere."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = (
            device.type == "cpu" and torch.backends.mkldnn.is_available() and torch.cpu._is_avx512_bf16_supported()  # pyright: ignore[reportPrivateUsage] - torch has no other word
        )
    return torch.autocast(device.type, torch.bfloat16) if fast else nullcontext()
