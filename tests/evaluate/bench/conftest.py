from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest
import torch

from motionloom.evaluate.bench import Candidate, run_benchmark
from motionloom.evaluate.make_bench import make_procedural

METRICS = ("psnr", "temporal_flickering", "fid_fallback_dct")
"""Cheap ones, one of them of the whole set."""


@pytest.fixture(scope="session")
def made_bench(tmp_path_factory):
    """Four cases of 32x48 with 5 frames."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("bench") / "bench"
    make_procedural(folder, cases=4, seed=3, num_frames=5, size=(32, 48))
    return folder


@pytest.fixture
def bench(made_bench, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(made_bench, tmp_path / "bench")


@pytest.fixture
def going(bench, tmp_path):
    """Runs over ``bench`` into ``out``: ``going.run("warp", ...)`` returns the runs; notes and progress are kept."""
    out = tmp_path / "out"
    kept = SimpleNamespace(bench=bench, out=out, notes=[], progress=[])

    def run(*models, metrics=METRICS, **options):
        kept.notes.clear()
        kept.progress.clear()
        return run_benchmark(
            bench,
            [model if isinstance(model, Candidate) else Candidate.parse(model) for model in models],
            options.pop("out", out),
            metrics=metrics,
            **{"report": False, **options},
            on_note=kept.notes.append,
            on_progress=lambda done, total: kept.progress.append((done, total)),
        )

    def times(pattern):
        """When each file was written, by name."""
        return {path.relative_to(out).as_posix(): path.stat().st_mtime_ns for path in out.glob(pattern)}

    kept.run, kept.times = run, times
    return kept
