"""The vectors that the browser's code is tested against are what a motion means today."""

import importlib.util
import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from motionloom.tracks.motion import Motion


def _load() -> ModuleType:
    path = Path(__file__).with_name("make_client_vectors.py")
    spec = importlib.util.spec_from_file_location("make_client_vectors", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


maker = _load()
NAMES = ["easing.json", "masks.json", "kinds.json", "scenes.json", "edges.json", "refused.json"]


@pytest.fixture(scope="module")
def today() -> dict[str, Any]:
    return maker.vectors()


def stored(name: str) -> Any:
    return json.loads((maker.FOLDER / name).read_text(encoding="utf-8"))


def difference(found: Any, wanted: Any, place: str = "") -> str | None:
    """The first place where two JSON values differ; numbers may differ by rounding."""
    if isinstance(wanted, dict) and isinstance(found, dict) and found.keys() == wanted.keys():
        parts = ((found[key], wanted[key], f"{place}.{key}") for key in wanted)
    elif isinstance(wanted, list) and isinstance(found, list) and len(found) == len(wanted):
        parts = ((a, b, f"{place}[{k}]") for k, (a, b) in enumerate(zip(found, wanted, strict=True)))
    elif isinstance(wanted, (int, float)) and isinstance(found, (int, float)):
        return None if math.isclose(found, wanted, rel_tol=1e-6, abs_tol=2e-5) else f"{place}: {found} and {wanted}"
    else:
        return None if found == wanted else f"{place}: {str(found)[:80]} and {str(wanted)[:80]}"
    return next((problem for a, b, at in parts if (problem := difference(a, b, at))), None)


@pytest.mark.slow
def test_every_file_is_written(today: dict[str, Any]) -> None:
    assert sorted(today) == sorted(NAMES) == sorted(path.name for path in maker.FOLDER.glob("*.json"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_vectors_are_up_to_date(name: str, today: dict[str, Any]) -> None:
    problem = difference(stored(name), json.loads(json.dumps(today[name])), name)
    assert problem is None, f"{problem}; if motions mean something else now, run {maker.__name__}.py"


@pytest.mark.parametrize("name", ["kinds.json", "scenes.json", "edges.json"])
def test_vectors_are_what_compile_gives(name: str) -> None:
    """The files hold traces in double precision at some moments; `compile` gives the same points at all of them."""
    checked = 0
    for case in stored(name):
        motion = Motion.parse(case["document"])
        if any(time != int(time) for time in case["times"]):
            continue
        tracks = motion.compile()
        frames = [int(time) for time in case["times"]]
        if max(frames) >= tracks.points.shape[0]:
            continue
        begin = 0
        for wanted in case["traces"]:
            end = begin + wanted["count"]
            points = np.asarray(tracks.points)[frames, begin : end : wanted["stride"]]
            expected = np.array(wanted["points"]).reshape(points.shape)
            np.testing.assert_allclose(points, expected, rtol=1e-6, atol=1e-3, err_msg=case["label"])
            visible = [
                "".join("1" if on else "0" for on in row) for row in np.asarray(tracks.visible)[frames, begin:end]
            ]
            assert visible == wanted["visible"], case["label"]
            begin = end
        assert begin == tracks.points.shape[1]
        checked += 1
    assert checked >= 2


def test_difference_finds_a_pixel_that_moved() -> None:
    assert difference({"a": [1.0, 2.0]}, {"a": [1.0, 2.001]}) == ".a[1]: 2.0 and 2.001"
    assert difference({"a": 1}, {"b": 1}) is not None
    assert difference({"a": [0.000001]}, {"a": [0]}) is None
