"""LoRA files on any Wan model: every layout in use is read, everything is checked before it is attached, and taking it
off leaves no trace.

specs = [LoraSpec.parse("orbit_h.safetensors:0.9"), LoraSpec.parse("orbit_l.safetensors:0.9")]
facts = load_loras(pipeline, specs)
unload_loras(pipeline)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from motionloom.models.lora.spec import Expert, LoraSpec

if TYPE_CHECKING:
    from motionloom.models.lora.attach import load_loras, set_lora_strength, unload_loras
    from motionloom.models.lora.lora import Lora, LoraLayer, lora_of
    from motionloom.models.lora.read import read_lora
    from motionloom.models.lora.write import save_lora

# A command line that only parses specs should not wait for torch.
_HOMES = {
    "attach": ("load_loras", "set_lora_strength", "unload_loras"),
    "lora": ("Lora", "LoraLayer", "lora_of"),
    "read": ("read_lora",),
    "write": ("save_lora",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Expert",
    "Lora",
    "LoraLayer",
    "LoraSpec",
    "load_loras",
    "lora_of",
    "read_lora",
    "save_lora",
    "set_lora_strength",
    "unload_loras",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
