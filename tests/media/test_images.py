import numpy as np
import pytest
from PIL import Image, ImageCms

from motionloom.errors import FileFormatError, InputError
from motionloom.media import image_digest, read_image, write_image


@pytest.fixture
def picture():
    return np.random.default_rng(1).integers(0, 256, (6, 9, 3), np.uint8)


def test_rgb_is_read_as_it_is(tmp_path, picture):
    path = write_image(tmp_path / "a.png", picture, text={"note": "caf\u00e9"})
    assert np.array_equal(read_image(path), picture)
    assert np.array_equal(read_image(str(path)), picture)
    assert np.array_equal(read_image(picture), picture)
    assert np.array_equal(read_image(Image.fromarray(picture)), picture)
    with Image.open(path) as image:
        assert image.text["note"] == "caf\u00e9"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    upright = np.zeros((40, 60, 3), np.uint8)
    upright[:20, :30] = (250, 0, 0)
    upright[20:, 30:] = (0, 0, 250)
    # The inverse of each EXIF orientation, applied to the stored pixels.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    assert np.array_equal(read_image(path), upright)


def test_transparency_is_laid_over_white(tmp_path):
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, :3] = (200, 100, 0)
    rgba[0, :, 3] = (255, 128, 0)
    expected = [[200, 100, 0], [227, 177, 127], [255, 255, 255]]
    path = tmp_path / "a.png"
    Image.fromarray(rgba).save(path)
    assert np.abs(read_image(path)[0].astype(int) - expected).max() <= 1
    assert np.abs(read_image(rgba)[0].astype(int) - expected).max() <= 1
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putdata([0, 1])
    palette.save(path, transparency=0)
    assert read_image(path)[0].tolist() == [[255, 255, 255], [40, 50, 60]]


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    values = np.array([[0, 257, 32768, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    Image.fromarray(values).save(tmp_path / "a.tiff")
    for source in (tmp_path / "a.png", tmp_path / "a.tiff", values):
        assert read_image(source)[0, :, 0].tolist() == [0, 1, 128, 255]


def test_grey_floats_and_cmyk(tmp_path):
    assert read_image(np.array([[0.0, 0.5, 1.0]]))[0].tolist() == [[0] * 3, [128] * 3, [255] * 3]
    assert read_image(np.array([[7, 9]], np.uint8)).shape == (1, 2, 3)
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    red = read_image(tmp_path / "a.jpg")[4, 4]
    assert red[0] > 200
    assert red[1:].max() < 40


def test_colour_profile_becomes_srgb(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4), (90, 120, 200)).save(path, icc_profile=profile)
    assert read_image(path).shape == (4, 4, 3)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("RGB", (4, 4), (90, 120, 200)).save(path, icc_profile=srgb)
    assert np.abs(read_image(path)[0, 0].astype(int) - (90, 120, 200)).max() <= 1
    Image.new("RGB", (4, 4), (90, 120, 200)).save(path, icc_profile=b"broken")
    assert read_image(path)[0, 0].tolist() == [90, 120, 200]


def test_errors_name_the_file_and_the_cure(tmp_path, picture):
    with pytest.raises(FileFormatError, match=r"none\.png: no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(FileFormatError, match="folder"):
        read_image(tmp_path)
    text = tmp_path / "a.png"
    text.write_text("%!PS-Adobe-3.0 EPSF-3.0\n")
    with pytest.raises(FileFormatError, match="not an image"):
        read_image(text)
    whole = write_image(tmp_path / "b.png", picture).read_bytes()
    text.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match=r"a\.png: the image is damaged"):
        read_image(text)
    with pytest.raises(InputError, match="expected uint8"):
        read_image(np.zeros((4, 4, 3), np.int64))
    with pytest.raises(InputError, match=r"0\.\.1"):
        read_image(np.full((4, 4, 3), 200.0))
    with pytest.raises(InputError, match=r"\[4, 4, 5\]"):
        read_image(np.zeros((4, 4, 5), np.uint8))
    with pytest.raises(InputError, match=r"\.bmp"):
        write_image(tmp_path / "a.bmp", picture)


@pytest.mark.slow
def test_size_is_checked_before_decoding(tmp_path):
    path = tmp_path / "a.png"
    Image.new("1", (3000, 3000)).save(path)
    with pytest.raises(FileFormatError, match="9 million pixels"):
        read_image(path, max_pixels=1_000_000)
    Image.new("1", (20_000, 20_000)).save(path)
    with pytest.raises(FileFormatError, match="million pixels"):
        read_image(path)


def test_digest_is_that_of_the_bytes(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert image_digest(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(FileFormatError, match="none"):
        image_digest(tmp_path / "none")
