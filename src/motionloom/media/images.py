"""Still images: anything a person may hand over becomes uint8 [H, W, 3] RGB.

Orientation from EXIF is applied, colour profiles are converted to sRGB, transparency is laid over white, 16-bit
values are scaled to 8 bits. The size in the header is checked before any pixel is decoded.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from motionloom.errors import FileFormatError, InputError
from motionloom.media.files import replacing

MAX_PIXELS = 100_000_000
# Pillow also knows formats that start other programs (EPS); only plain pixel formats are opened.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")


def read_image(
    source: str | os.PathLike[str] | NDArray[Any] | Image.Image, *, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """An image as uint8 [H, W, 3] sRGB.

    Args:
        source: a file, a Pillow image, or an array [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] of uint8, uint16, or
            floats in 0..1. Of an animated file the first frame is read.
        max_pixels: larger images are refused before they are decoded.

    Raises:
        FileFormatError: the file is missing, not an image, damaged, or too large.
        InputError: an array of another shape, type or range.
    """
    if isinstance(source, Image.Image):
        return _to_rgb(source)
    if isinstance(source, np.ndarray):
        return _from_array(source)
    path = Path(source)
    if path.is_dir():
        raise FileFormatError(f"{path}: is a folder, expected an image file")
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise FileFormatError(
                    f"{path}: {width}x{height} is {width * height / 1e6:.0f} million pixels, expected at most "
                    f"{max_pixels / 1e6:.0f}; scale it down first"
                )
            return _to_rgb(image)
    except FileFormatError:
        raise
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such file, expected an image") from None
    except UnidentifiedImageError:
        raise FileFormatError(
            f"{path}: not an image motionloom can read, expected PNG, JPEG, WebP, TIFF, AVIF, BMP, PPM or GIF"
        ) from None
    except Image.DecompressionBombError:
        raise FileFormatError(f"{path}: the image is far larger than {max_pixels / 1e6:.0f} million pixels") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise FileFormatError(f"{path}: the image is damaged ({str(error) or type(error).__name__})") from error


def write_image(path: str | os.PathLike[str], image: NDArray[np.uint8], *, text: dict[str, str] | None = None) -> Path:
    """Write uint8 [H, W, 3] as PNG, JPEG or WebP, by the suffix; ``text`` goes into a PNG's text chunks."""
    target = Path(path)
    options: dict[str, Any] = {
        ".png": {"format": "PNG", "pnginfo": png_text(text or {})},
        ".jpg": {"format": "JPEG", "quality": 92, "optimize": True},
        ".jpeg": {"format": "JPEG", "quality": 92, "optimize": True},
        ".webp": {"format": "WEBP", "quality": 90, "method": 5},
    }.get(target.suffix.lower(), {})
    if not options:
        raise InputError(f"{target}: cannot write an image of type {target.suffix!r}, expected .png, .jpg or .webp")
    pixels = _from_array(image)
    with replacing(target) as temporary:
        Image.fromarray(pixels).save(temporary, **options)
    return target


def png_text(text: dict[str, str]) -> PngInfo:
    """PNG text chunks, one per key, written uncompressed so that other programs can show them."""
    info = PngInfo()
    for key, value in text.items():
        info.add_itxt(key, value)
    return info


def image_digest(path: str | os.PathLike[str]) -> str:
    """Hex SHA-256 of a file's bytes: what says that two runs had the same photograph."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such file") from None
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror or error})") from None
    return digest.hexdigest()


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion clips at 255 instead of scaling.
        return _from_array(np.asarray(image).astype(np.int64).clip(0, 65535).astype(np.uint16))
    if image.mode == "F":
        raise FileFormatError("the image holds 32-bit floats, expected 8 or 16 bits per channel")
    alpha = None
    if "transparency" in image.info or image.mode in ("LA", "PA", "La", "RGBA", "RGBa"):
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    if image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("RGB")
    image = _to_srgb(image, profile) if profile else image.convert("RGB")
    if alpha is not None:
        white = Image.new("RGB", image.size, (255, 255, 255))
        image = Image.composite(image, white, alpha)
    return np.ascontiguousarray(np.asarray(image, np.uint8))


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        # A broken profile says nothing about the pixels; most such files are sRGB anyway.
        return image.convert("RGB")
    return converted if converted is not None else image.convert("RGB")


def _from_array(array: NDArray[Any]) -> NDArray[np.uint8]:
    found = f"found {array.dtype} {list(array.shape)}"
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape:
        raise InputError(f"image: {found}, expected [H, W], [H, W, 3] or [H, W, 4]")
    if array.dtype == np.uint16:
        array = ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    elif np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise InputError(f"image: {found} with values outside 0..1; scale floats to 0..1 or give uint8")
        array = np.rint(array * 255).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise InputError(f"image: {found}, expected uint8, uint16, or floats in 0..1")
    if array.shape[-1] == 4:
        alpha = array[..., 3:].astype(np.uint32)
        array = ((array[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    if array.shape[-1] == 1:
        array = np.repeat(array, 3, axis=-1)
    return np.ascontiguousarray(array)
