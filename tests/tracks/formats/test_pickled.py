"""The plain-data pickle reader reads what numpy and plain Python write, in every protocol."""

import pickle

import numpy as np
import pytest

from motionloom.errors import FileFormatError
from motionloom.tracks.formats.pickled import array_of, load_plain
from motionloom.tracks.formats.source import Source


def load(tmp_path, content, **options):
    (tmp_path / "a.pkl").write_bytes(content)
    source = Source(tmp_path / "a.pkl")
    return load_plain(source, source.mapped(), **options)


@pytest.mark.parametrize("protocol", range(1, 6))
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "bool", "uint8", "<i8"])
def test_arrays(protocol, dtype, tmp_path):
    array = np.arange(60).reshape(3, 5, 4).astype(dtype)
    content = pickle.dumps({"c": array, "f": np.asfortranarray(array), "big": np.zeros(70_000, dtype)}, protocol)
    found = load(tmp_path, content)
    np.testing.assert_array_equal(array_of(found["c"]), array)
    np.testing.assert_array_equal(array_of(found["f"]), array)
    assert array_of(found["c"]).dtype == array.dtype
    assert array_of(found["big"]).shape == (70_000,)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values(protocol, tmp_path):
    values = {"t": (1, 2.5, None, True), "l": ["é", b"\x00\xff", b""], "n": -(2**70), 3: {"deep": []}}
    assert load(tmp_path, pickle.dumps(values, protocol)) == values


def test_numpy_scalars_become_numbers(tmp_path):
    assert load(tmp_path, pickle.dumps([np.float32(0.5), np.int64(7)])) == [0.5, 7]


def test_several_in_a_row(tmp_path):
    assert load(tmp_path, b"".join(pickle.dumps(k) for k in range(4)), skip=3) == 3


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([1, "a"], object), "Python objects|type 'O"),
        (np.zeros(2, [("a", "f4")]), "type 'V"),
        (np.array(["abc"]), "type 'U"),
        (complex(1, 2), "complex"),
        (range(3), "range"),
        (Source, "Source"),
    ],
)
def test_anything_else_is_refused_by_name(value, message, tmp_path):
    with pytest.raises(FileFormatError, match=message):
        load(tmp_path, pickle.dumps(value))
