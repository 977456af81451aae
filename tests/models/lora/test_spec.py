from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from motionloom.errors import InputError
from motionloom.models.lora import LoraSpec


@pytest.mark.parametrize(
    ("text", "file", "strength", "expert"),
    [
        ("orbit.safetensors", "orbit.safetensors", 1.0, None),
        ("orbit.safetensors:0.8", "orbit.safetensors", 0.8, None),
        ("orbit.safetensors:0.8:high", "orbit.safetensors", 0.8, "high"),
        ("orbit.safetensors:.5:LOW", "orbit.safetensors", 0.5, "low"),
        ("orbit.safetensors:both", "orbit.safetensors", 1.0, "both"),
        ("orbit.safetensors::low", "orbit.safetensors", 1.0, "low"),
        ("orbit.safetensors:-1e-1", "orbit.safetensors", -0.1, None),
        ("orbit.safetensors:0", "orbit.safetensors", 0.0, None),
        (r"C:\loras\orbit.safetensors", r"C:\loras\orbit.safetensors", 1.0, None),
        (r"C:\loras\orbit.safetensors:0.8:high", r"C:\loras\orbit.safetensors", 0.8, "high"),
        ("d:/loras/orbit.SAFETENSORS:2", "d:/loras/orbit.SAFETENSORS", 2.0, None),
        ("style:v2:final.safetensors:0.7", "style:v2:final.safetensors", 0.7, None),
        ("a.safetensors.old/b.safetensors:0.7", "a.safetensors.old/b.safetensors", 0.7, None),
        ("old.pt:1:both", "old.pt", 1.0, "both"),
        ("loras/orbit", "loras/orbit", 1.0, None),
        ("loras/orbit:0.5:low", "loras/orbit", 0.5, "low"),
        (r"C:\loras\orbit:0.5", r"C:\loras\orbit", 0.5, None),
        ("  orbit.safetensors:1 ", "orbit.safetensors", 1.0, None),
    ],
)
def test_parse(text: str, file: str, strength: float, expert: str | None):
    spec = LoraSpec.parse(text)
    assert (str(spec.path), spec.strength, spec.expert) == (str(Path(file)), strength, expert)
    assert LoraSpec.parse(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"found '', expected FILE"),
        (":0.8", "expected FILE"),
        ("C:", "expected FILE"),
        ("orbit.safetensors:strong", "found 'strong', expected a strength such as 0.8, or high, low or both"),
        ("orbit.safetensors:0.8:middle", "found expert 'middle', expected high, low or both"),
        ("orbit.safetensors:0.8:high:again", "found 3 parts after the file"),
        ("orbit.safetensors:nan", "found strength nan, expected a finite number"),
        ("orbit.safetensors:inf:low", "found strength inf"),
    ],
)
def test_parse_refuses(text: str, message: str):
    with pytest.raises(InputError, match=message):
        LoraSpec.parse(text)


def test_strength_survives_the_record():
    assert LoraSpec.parse(str(LoraSpec(Path("a.safetensors"), 1 / 3, "low"))).strength == 1 / 3


def test_parsing_does_not_wait_for_torch():
    code = "import sys, motionloom.models.lora as m; m.LoraSpec.parse('a.pt:1'); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
