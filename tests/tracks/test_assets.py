import base64
import io

import numpy as np
import pytest
from PIL import Image

from motionloom.errors import FileFormatError, InputError
from motionloom.tracks.assets import Folder, read_depth, read_mask


def saved(path, values, mode=None):
    Image.fromarray(values, mode).save(path) if mode is None else Image.fromarray(values).convert(mode).save(path)
    return path.name


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def depth(name, folder, encoding="depth", near=1.0, far=5.0, scale=1.0):
    return read_depth(name, folder, encoding, near, far, scale)


# -------------------------------------------------------------------------------------------------------------- names
@pytest.mark.parametrize("name", ["../secret.png", "a/../../secret.png", "a/../../../etc/passwd"])
def test_nothing_outside_the_folder_is_opened(tmp_path, name):
    (tmp_path / "secret.png").write_bytes(b"x")
    inside = tmp_path / "motions"
    inside.mkdir()
    with pytest.raises(InputError, match="leads out of the motion's folder"):
        Folder(inside).read(name)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    inside = tmp_path / "motions"
    inside.mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(InputError, match="leads out"):
        Folder(inside).read("link.png")


def test_absolute_names_need_permission(tmp_path):
    (tmp_path / "mask.bin").write_bytes(b"abc")
    with pytest.raises(InputError, match="found an absolute file name"):
        Folder(tmp_path).read(str(tmp_path / "mask.bin"))
    assert Folder(tmp_path / "other", allow_absolute=True).read(str(tmp_path / "mask.bin")) == b"abc"


def test_names_that_lead_nowhere(folder, tmp_path):
    with pytest.raises(FileFormatError, match="no such file"):
        folder.read("none.png")
    (tmp_path / "sub").mkdir()
    with pytest.raises(FileFormatError, match="no such file"):
        folder.read("sub")
    with pytest.raises(InputError, match="folder is unknown"):
        Folder().read("mask.png")
    with pytest.raises(InputError, match="null character"):
        folder.read("a\0b")


def test_data_urls(folder, tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x00\x01picture")
    url = folder.data_url("a.png")
    assert url.startswith("data:image/png;base64,")
    assert Folder().read(url) == b"\x00\x01picture"
    assert Folder().data_url(url) == url
    for broken in ("data:image/png,abc", "data:image/png;base64", "data:;base64,a*b"):
        with pytest.raises(FileFormatError, match="data URL"):
            Folder().read(broken)


# -------------------------------------------------------------------------------------------------------------- masks
def test_bright_or_opaque_pixels_are_the_mask(folder, tmp_path):
    grey = np.array([[0, 127], [128, 255]], np.uint8)
    expected = [[False, False], [True, True]]
    assert read_mask(saved(tmp_path / "grey.png", grey), folder).tolist() == expected
    assert read_mask(saved(tmp_path / "wide.png", grey.astype(np.uint16) * 257), folder).tolist() == expected
    assert read_mask(saved(tmp_path / "one.png", grey > 127), folder).tolist() == expected
    colour = np.zeros((2, 2, 4), np.uint8)
    colour[..., 3] = grey
    assert read_mask(saved(tmp_path / "alpha.png", colour), folder).tolist() == expected
    # Fully opaque: transparency says nothing, brightness counts.
    opaque = np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    assert read_mask(saved(tmp_path / "opaque.png", opaque), folder).tolist() == expected


def test_masks_that_are_none(folder, tmp_path):
    with pytest.raises(FileFormatError, match="the mask is empty"):
        read_mask(saved(tmp_path / "black.png", np.zeros((4, 4), np.uint8)), folder)
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(FileFormatError, match=r"text.png: is not an image"):
        read_mask("text.png", folder)
    whole = tmp_path / "whole.png"
    saved(whole, np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:1000])
    with pytest.raises(FileFormatError, match=r"cut.png: is broken"):
        read_mask("cut.png", folder)


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded(folder, tmp_path):
    # A PNG header that declares 60000 x 60000 pixels, and nothing else.
    stream = io.BytesIO()
    Image.new("L", (1, 1)).save(stream, "PNG")
    content = bytearray(stream.getvalue())
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    import zlib

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"bomb\.png"):
        read_mask("bomb.png", folder)


# -------------------------------------------------------------------------------------------------------------- depth
def test_encodings(folder, tmp_path):
    name = saved(tmp_path / "d8.png", np.array([[0, 255, 51]], np.uint8))
    np.testing.assert_allclose(depth(name, folder), [[1, 5, 1.8]])
    np.testing.assert_allclose(depth(name, folder, "disparity"), [[5, 1, 1 / (0.2 + 0.2 * 0.8)]])
    wide = saved(tmp_path / "d16.png", np.array([[1000, 2500, 65535]], np.uint16))
    np.testing.assert_allclose(depth(wide, folder, "metric", scale=0.001), [[1, 2.5, 65.535]])
    np.testing.assert_allclose(depth(wide, folder)[0, 2], 5)
    np.save(tmp_path / "f.npy", np.array([[0.5, 3.0]], np.float32))
    np.testing.assert_allclose(depth("f.npy", folder, "metric", scale=2), [[1, 6]])
    np.save(tmp_path / "order.npy", np.asfortranarray(np.arange(1.0, 7).reshape(2, 3)))
    np.testing.assert_allclose(depth("order.npy", folder, "metric"), [[1, 2, 3], [4, 5, 6]])
    grey = np.repeat(np.array([[[0], [255]]], np.uint8), 3, axis=2)
    np.testing.assert_allclose(depth(saved(tmp_path / "rgb.png", grey), folder), [[1, 5]])


@pytest.mark.parametrize(
    ("values", "encoding", "words"),
    [
        (np.array([[0.0, 3.0]]), "depth", "found values from 0 to 3, expected 0 to 1"),
        (np.array([[0.0, 3.0]]), "metric", "found depth 0, expected every depth above zero"),
        (np.array([[np.nan, 3.0]]), "metric", "not finite"),
        (np.ones((2, 2, 2)), "metric", r"expected numbers \[height, width\]"),
        (np.array([["a"]]), "metric", "expected numbers"),
    ],
)
def test_depths_that_are_none(folder, tmp_path, values, encoding, words):
    np.save(tmp_path / "d.npy", values)
    with pytest.raises(FileFormatError, match=words):
        depth("d.npy", folder, encoding)


def test_colour_pictures_are_no_depth(folder, tmp_path):
    colour = np.zeros((2, 2, 3), np.uint8)
    colour[..., 0] = 9
    with pytest.raises(FileFormatError, match="found a colour image"):
        depth(saved(tmp_path / "c.png", colour), folder)


@pytest.mark.parametrize(
    "content",
    [
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4'}",
        b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }".ljust(117)
        + b"\n",
        b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }".ljust(117)
        + b"\n"
        + b"\x80\x04." * 9,
    ],
)
def test_hostile_arrays_are_refused_without_being_allocated(content):
    url = "data:application/x-npy;base64," + base64.b64encode(content).decode()
    with pytest.raises(FileFormatError) as caught:
        depth(url, Folder(), "metric")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
