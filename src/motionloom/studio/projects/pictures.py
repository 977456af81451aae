"""Pictures from outside: looked at by their header before anything is decoded, and shown only as encoded anew."""

from __future__ import annotations

import io
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionloom.errors import MotionloomError
from motionloom.studio.problems import Refused
from motionloom.studio.settings import Limits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DISPLAY_SIDE, THUMBNAIL_SIDE = 4_096, 480
MIN_SIDE, MAX_SIDE = 16, 16_384
SUFFIXES = {
    "PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif", "PPM": ".ppm",
    "AVIF": ".avif", "JPEG2000": ".jp2",
}  # fmt: skip

# A picture of the largest size takes hundreds of megabytes while it is decoded.
_decoding = threading.Semaphore(2)


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture that was decoded: ``pixels`` uint8 [H, W, 3] sRGB, upright; ``suffix`` of a file with its bytes."""

    pixels: NDArray[np.uint8]
    suffix: str

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        return self.pixels.shape[0]


def read_picture(content: bytes, limits: Limits) -> Picture:
    """A picture from the bytes of a file. Of several frames or pages the first is taken.

    Raises:
        Refused: ``unsupported`` for what is no picture of a plain pixel format (SVG and HTML are none), ``too_large``
            by its header, ``bad_request`` when it is damaged or tiny.
    """
    from PIL import Image, UnidentifiedImageError

    from motionloom.media.images import FORMATS, read_image

    if not content:
        raise Refused("bad_request", "image: the file is empty, expected a picture")
    try:
        with _decoding, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _require_size(*image.size, limits)
                suffix = SUFFIXES.get(str(image.format), ".img")
                return Picture(read_image(image, max_pixels=limits.max_pixels), suffix)
    except UnidentifiedImageError:
        raise Refused(
            "unsupported",
            "image: not a picture the studio reads, expected PNG, JPEG, WebP, TIFF, AVIF, BMP, PPM or GIF",
        ) from None
    except Image.DecompressionBombError:
        raise Refused("too_large", f"image: far more than {limits.max_pixels / 1e6:g} million pixels") from None
    except Refused:
        raise
    except MotionloomError as error:
        raise Refused("bad_request", f"image: {error}") from None
    except MemoryError:
        raise Refused("too_large", "image: takes more memory to decode than the server has") from None
    except Exception as error:  # decoders raise many kinds for damaged files
        raise Refused("bad_request", f"image: the picture is damaged ({str(error) or type(error).__name__})") from None


def size_of(path: Path) -> tuple[int, int]:
    """(width, height) of a picture on the disk, upright, by its header."""
    from PIL import Image

    from motionloom.media.images import FORMATS

    with Image.open(path, formats=FORMATS) as image:
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        return (image.height, image.width) if turned else image.size


def write_shown(picture: Picture, folder: Path) -> None:
    """Writes what browsers get to see: ``display.webp`` and ``thumbnail.webp``."""
    _write(picture.pixels, folder / "display.webp", DISPLAY_SIDE, quality=90)
    _write(picture.pixels, folder / "thumbnail.webp", THUMBNAIL_SIDE, quality=82)


def _require_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise Refused(
            "too_large",
            f"image: {width}x{height} is {width * height / 1e6:.3g} million pixels, expected at most "
            f"{limits.max_pixels / 1e6:g}; scale it down first",
        )
    if max(width, height) > MAX_SIDE:
        raise Refused("too_large", f"image: found {width}x{height} pixels, expected sides of at most {MAX_SIDE}")
    if min(width, height) < MIN_SIDE:
        raise Refused("bad_request", f"image: found {width}x{height} pixels, expected sides of at least {MIN_SIDE}")


def _write(pixels: Any, path: Path, side: int, *, quality: int) -> None:
    from PIL import Image

    from motionloom.media.files import replacing

    image = Image.fromarray(pixels)
    if max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    with replacing(path) as temporary:
        image.save(temporary, format="WEBP", quality=quality, method=3)
