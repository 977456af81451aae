from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from motionloom.errors import MissingDependencyError
from motionloom.prepare import photographs
from motionloom.prepare.photographs import CREDITS, training_photographs


def test_photographs_of_the_benchmarks_are_left_out():
    files = {credit.file for credit in CREDITS}
    assert not files & {"chelsea.png", "coffee.png", "rocket.jpg", "hubble_deep_field.jpg"}
    assert {credit.licence for credit in CREDITS} == {"CC0", "public domain", "no known copyright restrictions"}


def test_photographs_are_pictures():
    pytest.importorskip("skimage")
    found = training_photographs()
    assert [photograph.credit for photograph in found] == list(CREDITS)
    for photograph in found:
        assert photograph.pixels.dtype == np.uint8
        assert photograph.pixels.shape[2] == 3
        assert min(photograph.pixels.shape[:2]) >= 300
        assert photograph.pixels.std() > 5


def test_missing_scikit_image_is_said(monkeypatch):
    monkeypatch.setattr(photographs, "find_spec", lambda name: None)
    photographs._photographs.cache_clear()
    with pytest.raises(MissingDependencyError, match="pip install scikit-image"):
        training_photographs()
    assert importlib.util.find_spec("motionloom")
