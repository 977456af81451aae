from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

_TINY = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "latent_trajectory" / "tiny.py")))


@pytest.fixture(scope="session")
def tiny():
    """Tiny pipelines of other families, see ``latent_trajectory/tiny.py``."""
    return _TINY


@pytest.fixture(scope="session", params=["1.0", "1.5"])
def cogvideox(request: pytest.FixtureRequest):
    return _TINY.cogvideox(request.param)


@pytest.fixture(scope="session")
def ti2v():
    return _TINY.ti2v()
