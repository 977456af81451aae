"""The command line, in which the transformer of the last process fails in the second step.

python failing.py ARGUMENTS...      under `motionloom.scale.launch`
"""

from __future__ import annotations

import functools
from typing import Any

from motionloom.cli import main
from motionloom.scale import launch


def break_last() -> None:
    from diffusers.models.transformers.transformer_wan import WanTransformerBlock

    stock, calls = WanTransformerBlock.forward, []

    @functools.wraps(stock)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if launch.rank() == launch.world() - 1 and len(calls) > 3:
            raise MemoryError("the second GPU is full")
        return stock(self, *args, **kwargs)

    WanTransformerBlock.forward = forward  # type: ignore[method-assign]


if __name__ == "__main__":
    break_last()
    main()
