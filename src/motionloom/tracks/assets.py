"""The files a motion refers to: masks and depth maps, read within bounds and never from outside the motion's folder."""

from __future__ import annotations

import base64
import binascii
import io
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import FileFormatError, InputError

MAX_FILE_BYTES = 40 * 2**20
MAX_PIXELS = 2**25
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")

DepthEncoding = Literal["depth", "disparity", "metric"]


@dataclass(frozen=True)
class Folder:
    """Where a motion's files lie.

    Args:
        path: the motion file's folder; None for a motion that was made in memory.
        allow_absolute: absolute names may be opened too.
    """

    path: Path | None = None
    allow_absolute: bool = False

    def locate(self, name: str) -> Path:
        """The file behind a name.

        Raises:
            InputError: the name is absolute and that is not allowed, leaves the folder, or there is no folder.
        """
        if "\0" in name:
            raise InputError("file name: found a null character, expected a plain name")
        wanted = Path(name)
        if wanted.is_absolute():
            if not self.allow_absolute:
                raise InputError(
                    f"{name}: found an absolute file name, expected one relative to the motion file "
                    "(or pass allow_absolute=True)"
                )
            return wanted
        if self.path is None:
            raise InputError(
                f"{name}: the motion was not read from a file, so its folder is unknown; "
                "say it with motion.with_folder(path)"
            )
        base = self.path.resolve()
        found = (base / wanted).resolve()
        if not found.is_relative_to(base):
            raise InputError(f"{name}: leads out of the motion's folder {base}; expected a file inside it")
        return found

    def read(self, name: str) -> bytes:
        """The bytes of a file, or of a ``data:`` URL.

        Raises:
            FileFormatError: missing, not readable, too large, or a broken data URL.
        """
        if name.startswith("data:"):
            head, comma, body = name.partition(",")
            if not comma or not head.endswith(";base64"):
                raise FileFormatError(f"data URL: found {head[:40]!r}, expected data:<type>;base64,<bytes>")
            try:
                return base64.b64decode(body, validate=True)
            except binascii.Error as error:
                raise FileFormatError(f"data URL: not valid base64 ({error})") from None
        path = self.locate(name)
        try:
            if not path.is_file():
                raise FileFormatError(f"{path}: no such file, named as {name!r}")
            size = path.stat().st_size
            if size > MAX_FILE_BYTES:
                raise FileFormatError(f"{path}: found {size} bytes, expected at most {MAX_FILE_BYTES}")
            return path.read_bytes()
        except OSError as error:
            raise FileFormatError(f"{path}: cannot be read ({error.strerror or error})") from None

    def data_url(self, name: str) -> str:
        """The file as a ``data:`` URL, so that a motion can carry it inside."""
        if name.startswith("data:"):
            return name
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return f"data:{kind};base64,{base64.b64encode(self.read(name)).decode('ascii')}"


def shown(name: str) -> str:
    """A file name for messages: data URLs are cut short."""
    return name if len(name) <= 80 else name[:40] + "..."


def read_mask(name: str, folder: Folder) -> NDArray[np.bool_]:
    """A mask image as bool [h, w]: the opaque part where it has transparency, else what is brighter than middle grey.

    Raises:
        FileFormatError: not an image, too large, or a mask without any pixel.
    """
    image = _read_image(folder.read(name), name)
    alpha = "A" in image.getbands() or "transparency" in image.info
    opacity = np.asarray(image.convert("RGBA"))[..., 3] if alpha else None
    if opacity is not None and opacity.min() < 255:
        mask = opacity > 127
    else:
        values = np.asarray(image)
        wide = values.ndim == 2 and values.dtype not in (np.uint8, np.bool_)
        mask = values > 32767 if wide else np.asarray(image.convert("L")) > 127
    if not mask.any():
        raise FileFormatError(
            f"{shown(name)}: the mask is empty; expected white (or opaque) pixels where the region is"
        )
    return mask


def read_depth(
    name: str, folder: Folder, encoding: DepthEncoding, near: float, far: float, scale: float
) -> NDArray[np.float64]:
    """A depth map as float64 [h, w], every value above zero.

    Args:
        encoding: ``depth`` black is ``near`` and white is ``far``, linear in depth; ``disparity`` white is ``near``
            and black is ``far``, linear in 1/depth; ``metric`` value times ``scale``.
            White is the largest value of the file's integer type, or 1.0 in a float array.

    Raises:
        FileFormatError: not an 8 or 16 bit image nor a numeric .npy array [h, w], too large, or depths at or below 0.
    """
    content = folder.read(name)
    raw = _read_npy(content, name) if content.startswith(b"\x93NUMPY") else _read_grey(content, name)
    values = raw.astype(np.float64)
    if not np.isfinite(values).all():
        raise FileFormatError(f"{shown(name)}: found a depth that is not finite, expected numbers only")
    if encoding == "metric":
        depth = values * scale
    else:
        share = values / np.iinfo(raw.dtype).max if raw.dtype.kind in "iu" else values
        if share.min() < 0.0 or share.max() > 1.0:
            raise FileFormatError(
                f"{shown(name)}: found values from {values.min():g} to {values.max():g}, expected 0 to 1 for the "
                f"encoding {encoding!r}; use 'metric' for depths in units"
            )
        depth = near + share * (far - near) if encoding == "depth" else 1 / (1 / far + share * (1 / near - 1 / far))
    if depth.min() <= 0.0:
        raise FileFormatError(f"{shown(name)}: found depth {depth.min():g}, expected every depth above zero")
    return depth


def _read_image(content: bytes, name: str):
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(content), formats=IMAGE_FORMATS)
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise FileFormatError(f"{shown(name)}: found {width}x{height} pixels, expected at most {MAX_PIXELS} in all")
        image.load()
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        if isinstance(error, FileFormatError):
            raise
        detail = "is not an image we read" if isinstance(error, UnidentifiedImageError) else f"is broken ({error})"
        raise FileFormatError(f"{shown(name)}: {detail}; expected one of {', '.join(IMAGE_FORMATS)}") from None
    return image


def _read_grey(content: bytes, name: str) -> NDArray:
    values = np.asarray(_read_image(content, name))
    if values.ndim == 3 and values.dtype == np.uint8 and (values == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "iuf":
        raise FileFormatError(f"{shown(name)}: found a colour image, expected grey values of 8 or 16 bits")
    # Pillow opens some 16 bit files as 32 bit integers; the values still run to 65535.
    return values.astype(np.uint16) if values.dtype.itemsize == 4 and values.dtype.kind in "iu" else values


def _read_npy(content: bytes, name: str) -> NDArray:
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version}")
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(stream)
    except Exception as error:  # numpy raises many kinds for a hostile header
        raise FileFormatError(f"{shown(name)}: not a readable .npy file ({str(error).splitlines()[0]})") from None
    if len(shape) != 2 or dtype.kind not in "iuf" or min(shape) < 1:
        raise FileFormatError(f"{shown(name)}: found {dtype} {shape}, expected numbers [height, width]")
    count = shape[0] * shape[1]
    body = memoryview(content)[stream.tell() :]
    if count > MAX_PIXELS or len(body) != count * dtype.itemsize:
        raise FileFormatError(
            f"{shown(name)}: declares {shape[1]}x{shape[0]} values of {dtype}, found {len(body)} bytes of them"
        )
    return np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")
