"""Animated GIF and WebP, single PNGs and folders of PNGs, through Pillow."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageSequence, UnidentifiedImageError

from motionloom.errors import FileFormatError, InputError
from motionloom.media.envelope import Envelope
from motionloom.media.files import replacing, replacing_folder
from motionloom.media.images import png_text

KEYWORD = "motionloom"
PROVENANCE_FILE = "provenance.json"
MAX_GIF_FPS = 50.0
_FRAME_NAME = re.compile(r"frame_\d+\.png")
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description>{}</dc:description>'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def write_gif(path: Path, frames: NDArray[np.uint8], envelope: Envelope) -> None:
    """One palette for the whole clip (no colour pumping), Floyd-Steinberg dither, loops for ever.

    GIF counts hundredths of a second: frame times are rounded so that the errors never add up.
    """
    if envelope.fps > MAX_GIF_FPS:
        raise InputError(f"{path}: GIF plays at most {MAX_GIF_FPS:g} fps, found {envelope.fps:g}; use .webp or .mp4")
    palette = _palette(frames)
    first, *rest = (
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames
    )
    with replacing(path) as temporary:
        first.save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=rest,
            duration=_durations(len(frames), envelope.fps, unit_ms=10),
            loop=0,
            comment=envelope.dumps().encode("ascii"),
            optimize=False,
        )


def write_webp(path: Path, frames: NDArray[np.uint8], envelope: Envelope, *, quality: int, lossless: bool) -> None:
    """Animated WebP with the envelope as XMP description."""
    first, *rest = (Image.fromarray(frame) for frame in frames)
    with replacing(path) as temporary:
        first.save(
            temporary,
            format="WEBP",
            save_all=True,
            append_images=rest,
            duration=_durations(len(frames), envelope.fps, unit_ms=1),
            loop=0,
            quality=quality,
            lossless=lossless,
            # Lossless: 0 is fastest at nearly the same size; a lossy clip is worth the search.
            method=0 if lossless else 4,
            exact=lossless,
            xmp=_XMP.format(html.escape(envelope.dumps())).encode("ascii"),
        )


def write_png(path: Path, frames: NDArray[np.uint8], envelope: Envelope) -> None:
    """A clip of one frame as one PNG."""
    if len(frames) != 1:
        raise InputError(
            f"{path}: a PNG holds one frame, found {len(frames)}; end the path with / for a folder, or use .webp"
        )
    with replacing(path) as temporary:
        Image.fromarray(frames[0]).save(temporary, format="PNG", pnginfo=png_text({KEYWORD: envelope.dumps()}))


def write_folder(path: Path, frames: NDArray[np.uint8], envelope: Envelope) -> None:
    """frame_00000.png and so on, and provenance.json. Replaces a folder only if motionloom wrote all that is in it."""
    if path.is_dir():
        foreign = [entry.name for entry in path.iterdir() if not _is_ours(entry.name)]
        if foreign:
            raise InputError(f"{path}: the folder holds other files ({foreign[0]}); choose a new or empty folder")
    with replacing_folder(path) as temporary:
        for index, frame in enumerate(frames):
            Image.fromarray(frame).save(temporary / f"frame_{index:05d}.png", compress_level=4)
        (temporary / PROVENANCE_FILE).write_text(envelope.dumps() + "\n", encoding="ascii")


def read_animation_envelope(path: Path) -> Envelope | None:
    """The envelope of a GIF, WebP, PNG or folder of PNGs, without decoding more than one frame."""
    if path.is_dir():
        file = path / PROVENANCE_FILE
        return Envelope.loads(file.read_text(encoding="utf-8", errors="replace")) if file.is_file() else None
    with _open(path) as image:
        return _envelope(image)


def read_animation(path: Path, *, max_frames: int, max_pixels: int) -> tuple[NDArray[np.uint8], float, Envelope | None]:
    """Frames, rate and envelope of a GIF, WebP or PNG.

    Writers merge equal neighbours into one long frame; with an envelope they are counted out again by time. A file of
    another program gives each stored frame once, at the mean rate.
    """
    with _open(path) as image:
        envelope = _envelope(image)
        count, (width, height) = getattr(image, "n_frames", 1), image.size
        wanted = max(count, envelope.num_frames if envelope else 1)
        _check(path, wanted, width * height, max_frames, max_pixels)
        frames, ends = [], []
        try:
            for picture in ImageSequence.Iterator(image):
                frames.append(np.asarray(picture.convert("RGB"), np.uint8))
                ends.append((ends[-1] if ends else 0) + float(picture.info.get("duration", 0) or 0))
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise FileFormatError(f"{path}: the animation is damaged after frame {len(frames)} ({error})") from error
    if envelope and len(frames) < envelope.num_frames:
        middles = (np.arange(envelope.num_frames) + 0.5) * 1000.0 / envelope.fps
        shown = np.searchsorted(np.array(ends), middles, side="right").clip(max=len(frames) - 1)
        return np.stack([frames[index] for index in shown]), envelope.fps, envelope
    fps = envelope.fps if envelope else (1000.0 * len(frames) / ends[-1] if ends[-1] > 0 else 1.0)
    return np.stack(frames), fps, envelope


def read_folder(path: Path, *, max_frames: int, max_pixels: int) -> tuple[NDArray[np.uint8], float, Envelope | None]:
    """The PNGs of a folder that `write_folder` made."""
    envelope = read_animation_envelope(path)
    names = sorted(entry for entry in path.iterdir() if _FRAME_NAME.fullmatch(entry.name))
    if envelope is None or not names:
        raise FileFormatError(f"{path}: not a folder of frames, expected frame_00000.png ... and {PROVENANCE_FILE}")
    if len(names) != envelope.num_frames:
        raise FileFormatError(f"{path}: {len(names)} frames, but {PROVENANCE_FILE} says {envelope.num_frames}")
    frames = []
    for index, name in enumerate(names):
        with _open(name) as image:
            if image.size != envelope.size[::-1]:
                raise FileFormatError(f"{name}: {image.width}x{image.height}, expected {envelope.size[::-1]}")
            if index == 0:
                _check(path, len(names), image.width * image.height, max_frames, max_pixels)
            try:
                frames.append(np.asarray(image.convert("RGB"), np.uint8))
            except (OSError, SyntaxError, ValueError) as error:
                raise FileFormatError(f"{name}: the image is damaged ({error})") from error
    return np.stack(frames), envelope.fps, envelope


def _palette(frames: NDArray[np.uint8], samples: int = 100_000) -> Image.Image:
    """256 colours for the whole clip, from an even sample of pixels of all frames."""
    pixels = frames.reshape(-1, 3)
    pixels = pixels[:: max(1, len(pixels) // samples)]
    return Image.fromarray(np.ascontiguousarray(pixels[None])).quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=2)


def _durations(num_frames: int, fps: float, *, unit_ms: int) -> list[int]:
    """Milliseconds per frame in whole units; the ends are rounded, so the sum stays within one unit of the truth."""
    ends = np.rint(np.arange(num_frames + 1) * 1000.0 / fps / unit_ms).astype(int) * unit_ms
    return [max(int(step), unit_ms) for step in np.diff(ends)]


def _is_ours(name: str) -> bool:
    return name == PROVENANCE_FILE or _FRAME_NAME.fullmatch(name) is not None


def _check(path: Path, num_frames: int, pixels: int, max_frames: int, max_pixels: int) -> None:
    if num_frames > max_frames or num_frames * pixels > max_pixels:
        raise FileFormatError(
            f"{path}: {num_frames} frames of {pixels / 1e6:.1f} million pixels, expected at most {max_frames} frames "
            f"and {max_pixels / 1e6:.0f} million pixels in all; scale it down or raise max_frames and max_pixels"
        )


def _open(path: Path) -> Image.Image:
    try:
        return Image.open(path, formats=("GIF", "WEBP", "PNG"))
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such file, expected a clip") from None
    except Image.DecompressionBombError as error:
        raise FileFormatError(f"{path}: the picture is too large ({error})") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise FileFormatError(f"{path}: not a GIF, WebP or PNG motionloom can read ({error})") from None


def _envelope(image: Image.Image) -> Envelope | None:
    for text in _texts(image.info):
        envelope = Envelope.loads(text)
        if envelope:
            return envelope
    return None


def _texts(info: dict[str | tuple[int, int], Any]) -> Iterator[str | bytes]:
    if KEYWORD in info:
        yield str(info[KEYWORD])
    if isinstance(info.get("comment"), bytes):
        yield info["comment"]
    if isinstance(info.get("xmp"), bytes):
        found = re.search(rb"<dc:description>(.*?)</dc:description>", info["xmp"], re.DOTALL)
        if found:
            yield html.unescape(found[1].decode("utf-8", errors="replace"))
