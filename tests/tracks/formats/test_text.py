"""Numbers to text and back, column by column."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from motionloom.errors import FileFormatError
from motionloom.tracks.formats.source import Source
from motionloom.tracks.formats.text import ROWS_AT_ONCE, Fixed, parse_numbers, path_lists, rows_text


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20), st.integers(0, 5))
def test_fixed_point_is_what_rounding_says(values, decimals):
    lines = rows_text([Fixed(np.array(values), decimals), b"\n"]).decode().split("\n")[:-1]
    assert len(lines) == len(values)
    for line, value in zip(lines, values, strict=True):
        assert float(line) == pytest.approx(value, abs=0.5 * 10.0**-decimals + 1e-6)
        whole, _, part = line.lstrip("-").partition(".")
        assert len(part) == decimals
        assert whole == "0" or not whole.startswith("0")
        assert line != "-" + "0" * len(whole) + "." * bool(decimals) + "0" * decimals


@given(
    hnp.arrays(
        np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=5), elements=st.floats(-999, 999, width=32)
    )
)
def test_paths_as_json(values):
    points = np.stack([values, -values], axis=-1)
    found = np.array(json.loads(b"[" + path_lists(points, 2) + b"]"))
    np.testing.assert_allclose(found, points.transpose(1, 0, 2), atol=0.0051)


def test_constants_and_strings_stand_between():
    text = rows_text([b"<", Fixed(np.array([7, -12])), b"|", np.array([b"", b"ab"]), b">"])
    assert text == b"<7|><-12|ab>"


def test_blocks_join_without_a_seam():
    count = ROWS_AT_ONCE + 3
    text = rows_text([Fixed(np.arange(count)), b"\n"])
    assert text == "".join(f"{k}\n" for k in range(count)).encode()


def test_parsing_takes_usual_spellings_and_names_others(tmp_path):
    (tmp_path / "a").write_text("x")
    source = Source(tmp_path / "a")
    assert parse_numbers(source, b"1,2.5,-3e2", "n").tolist() == [1, 2.5, -300]
    assert parse_numbers(source, b"+1,.5,1.", "n").tolist() == [1, 0.5, 1]
    assert parse_numbers(source, b" ", "n").size == 0
    with pytest.raises(FileFormatError, match=r"n: found 'x1', expected a number"):
        parse_numbers(source, b"1,x1", "n")
