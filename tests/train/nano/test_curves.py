from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from motionloom.errors import MissingDependencyError
from motionloom.media import read_image
from motionloom.train.nano.curves import draw_curves, read_log, rewind_log


def write(out: Path, entries: list[dict]) -> None:
    (out / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def run(steps: int) -> list[dict]:
    losses = [
        {"step": s, "loss": 2.0 / s, "rate": 1e-3, "stage": s // 6, "side": 64, "kind": "flow"} for s in range(1, steps)
    ]
    return [*losses, {**losses[-1], "psnr_ati": 21.0, "psnr_unguided": 19.0}]


def test_a_log_cut_off_in_the_middle_is_read_up_to_there(tmp_path: Path):
    write(tmp_path, run(4))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 9, "lo')
    assert [entry["step"] for entry in read_log(tmp_path)] == [1, 2, 3, 3]
    assert read_log(tmp_path / "nowhere") == []


def test_rewinding_forgets_later_steps_alone(tmp_path: Path):
    write(tmp_path, run(10))
    rewind_log(tmp_path, 5)
    assert [entry["step"] for entry in read_log(tmp_path)] == [1, 2, 3, 4, 5]
    before = (tmp_path / "log.jsonl").read_bytes()
    rewind_log(tmp_path, 5)
    assert (tmp_path / "log.jsonl").read_bytes() == before


@pytest.mark.slow
def test_curves_show_what_the_log_holds(tmp_path: Path):
    write(tmp_path, run(12))
    picture = read_image(draw_curves(tmp_path))
    write(tmp_path, run(12)[:-1])
    without_scores = read_image(draw_curves(tmp_path))
    assert picture.shape == without_scores.shape
    third = picture.shape[0] // 3
    differs = (picture != without_scores).any(axis=2)
    assert differs[third : 2 * third].sum() > 500
    write(tmp_path, [])
    assert np.ptp(read_image(draw_curves(tmp_path))) > 0  # an empty log is empty axes
    assert not list(tmp_path.glob("*.partial*"))


def test_without_matplotlib_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(MissingDependencyError, match=r"motionloom\[train\]"):
        draw_curves(tmp_path)
