import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from motionloom.tracks.validation import json_path, one_line, shown


class Inner(BaseModel):
    x: float
    names: list[str] = []


class Outer(BaseModel):
    inner: list[Inner | int]


def problem(data):
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(data)
    return one_line(caught.value, data, "a.json")


def test_places_are_those_of_the_document():
    data = {"a": [{"kind": "k", "b": {"c": 1}}]}
    # "k" is the alternative pydantic tried, no key of the data.
    assert json_path(("a", 0, "k", "b", "c"), data) == "a[0].b.c"
    assert json_path(("a", 0, "k", "d"), data, missing=True) == "a[0].d"
    assert json_path((), data) == ""
    assert json_path(("a", 0, "x"), {"a": [[1, 2]]}) == "a[0].x"


def test_the_alternative_that_was_followed_furthest_is_reported():
    found = problem({"inner": [{"x": 1, "names": ["a", 2]}]})
    assert found == "a.json: inner[0].names[1]: found 2, expected a valid string (and 1 more)"


def test_long_and_strange_values_are_shown_short():
    assert shown(list(range(100))) == "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16..."
    assert shown(np.float32(1)) == "np.float32(1.0)"
    assert shown(None) == "null"
