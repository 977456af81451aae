"""Pictures from strangers: refused by their headers, never shown as they came."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from motionloom.studio.problems import Refused
from motionloom.studio.projects import pictures
from motionloom.studio.projects.pictures import read_picture
from motionloom.studio.settings import Limits

LIMITS = Limits(max_pixels=100_000)


def encoded(image, form, **options):
    stream = io.BytesIO()
    image.save(stream, format=form, **options)
    return stream.getvalue()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, *chunks):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"])
def test_every_plain_format_is_read(form):
    image = Image.linear_gradient("L").resize((40, 30)).convert("RGB")
    found = read_picture(encoded(image, form), LIMITS)
    assert (found.width, found.height) == (40, 30)
    assert found.suffix == pictures.SUFFIXES[form]
    assert np.abs(found.pixels.astype(int) - np.asarray(image)).mean() < 8


@pytest.mark.parametrize(
    "content",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><script>alert(1)</script></svg>",
        b"<?xml version='1.0'?><svg/>", b"<!doctype html><img src=x onerror=alert(1)>", b"%!PS-Adobe-3.0 EPSF-3.0",
        b"%PDF-1.7", b"MZ\x90\x00", b"\x00" * 1_000, b"GIF", b"RIFF\x00\x00\x00\x00AVI ", b"\x7fELF",
        b"[Desktop Entry]", b"PK\x03\x04",
    ],
)  # fmt: skip
def test_what_is_no_picture_is_refused(content):
    with pytest.raises(Refused) as caught:
        read_picture(content, LIMITS)
    assert caught.value.code in ("unsupported", "bad_request")
    assert "image" in str(caught.value)


def test_a_bomb_is_refused_by_its_header_alone():
    rows = zlib.compress(bytes(1_000_000))
    with pytest.raises(Refused, match=r"more than 0\.1 million pixels") as caught:
        read_picture(png(50_000, 50_000, chunk(b"IDAT", rows)), LIMITS)
    assert caught.value.code == "too_large"
    for content in (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
        b"P6 60000 60000 255\n" + bytes(100),
        b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + encoded(Image.new("RGB", (32, 32)), "GIF")[10:],
    ):
        with pytest.raises(Refused) as caught:
            read_picture(content, LIMITS)
        assert caught.value.code == "too_large", content[:4]


def test_a_small_header_on_a_large_stream_decodes_no_more_than_the_header_says(monkeypatch):
    rows = zlib.compress(bytes(50_000_000), 9)
    found = read_picture(png(32, 32, chunk(b"IDAT", rows)), LIMITS)
    assert found.pixels.shape == (32, 32, 3)


def test_bombs_in_text_and_colour_profiles_are_not_unpacked():
    bomb = zlib.compress(bytes(30_000_000), 9)
    pixels = chunk(b"IDAT", zlib.compress(bytes(32 * 97)))
    for extra in (
        chunk(b"zTXt", b"Comment\x00\x00" + bomb),
        chunk(b"iTXt", b"Comment\x00\x01\x00\x00\x00" + bomb),
        chunk(b"iCCP", b"icc\x00\x00" + bomb),
    ):
        try:
            assert read_picture(png(32, 32, extra, pixels), LIMITS).pixels.shape == (32, 32, 3)
        except Refused as refused:
            assert refused.code in ("bad_request", "too_large")  # noqa: PT017 - either is fine, memory is what counts


def test_of_animations_and_pages_the_first_is_taken():
    frames = [Image.new("RGB", (32, 24), (40 * k, 0, 0)) for k in range(1, 5)]
    for form in ("GIF", "TIFF", "WEBP", "PNG"):
        content = encoded(frames[0], form, save_all=True, append_images=frames[1:])
        assert abs(int(read_picture(content, LIMITS).pixels[0, 0, 0]) - 40) < 6, form


def test_damaged_and_tiny_pictures_are_told_so(photograph):
    with pytest.raises(Refused, match="damaged"):
        read_picture(photograph[: len(photograph) // 2], LIMITS)
    with pytest.raises(Refused, match="empty"):
        read_picture(b"", LIMITS)
    with pytest.raises(Refused, match="at least 16"):
        read_picture(encoded(Image.new("RGB", (15, 40)), "PNG"), LIMITS)
    with pytest.raises(Refused, match=r"400x300 is 0\.12 million pixels, expected at most 0\.1; scale"):
        read_picture(encoded(Image.new("RGB", (400, 300)), "PNG"), LIMITS)
    with pytest.raises(Refused, match="sides of at most 16384"):
        read_picture(png(17_000, 16), Limits())


def test_pictures_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(Image.new("RGB", (40, 30)), "JPEG", exif=exif)
    found = read_picture(content, LIMITS)
    assert (found.width, found.height) == (30, 40)
    (tmp_path / "x.jpg").write_bytes(content)
    assert pictures.size_of(tmp_path / "x.jpg") == (30, 40)


def test_what_is_shown_is_bounded_and_carries_nothing_of_the_original(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "DISPLAY_SIDE", 64)
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    content = encoded(Image.new("RGB", (200, 100), "red"), "JPEG", exif=exif, comment=b"secret")
    pictures.write_shown(read_picture(content, LIMITS), tmp_path)
    for name, size in (("display.webp", (64, 32)), ("thumbnail.webp", (200, 100))):
        with Image.open(tmp_path / name) as shown:
            assert (shown.format, shown.size) == ("WEBP", size)
            assert not shown.getexif()
        assert b"secret" not in (tmp_path / name).read_bytes()
        assert b"where I live" not in (tmp_path / name).read_bytes()
