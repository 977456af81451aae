"""MP4 (H.264) and WebM (VP9) through PyAV, and reading whatever video FFmpeg's safe demuxers know."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream
from numpy.typing import NDArray

from motionloom.errors import FileFormatError, MotionloomError
from motionloom.media.envelope import Envelope
from motionloom.media.files import replacing

# quality 1..100 -> constant rate factor; 90 is visually close to the source.
_QUALITY = (1, 50, 75, 90, 100)
_CODECS: dict[str, dict[str, Any]] = {
    ".mp4": {
        "codec": "libx264",
        "crf": (51, 30, 23, 17, 6),
        "options": {"preset": "medium"},
        "container": {"movflags": "+faststart"},
    },
    ".webm": {
        "codec": "libvpx-vp9",
        "crf": (63, 42, 33, 22, 6),
        "options": {"b:v": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
        "container": {},
    },
}
_REPEATABLE = 95  # from this quality on, the same frames give the same MP4
SUFFIXES = tuple(_CODECS)
# Playlists and concat scripts may name other files and addresses; they are never opened.
_DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,flv,ogg,asf,gif,ivf,yuv4mpegpipe"


def write_video(path: Path, frames: NDArray[np.uint8], envelope: Envelope, *, quality: int) -> None:
    """Encode uint8 [T, H, W, 3] as 4:2:0 with BT.709 matrix and primaries, sRGB transfer, limited range.

    4:2:0 needs even sides: an odd side gains one repeated row or column, which reading the envelope cuts off again.
    """
    settings = _CODECS[path.suffix.lower()]
    height, width = frames.shape[1:3]
    padding = ((0, height % 2), (0, width % 2), (0, 0))
    try:
        with (
            replacing(path) as temporary,
            av.open(os.fspath(temporary), "w", container_options=settings["container"]) as container,
        ):
            container.metadata["comment"] = envelope.dumps()
            stream = container.add_stream(settings["codec"], rate=Fraction(envelope.fps).limit_denominator(65_535))
            stream.width, stream.height = width + width % 2, height + height % 2
            crf = round(float(np.interp(quality, _QUALITY, settings["crf"])))
            stream.options = {**settings["options"], "crf": str(crf)}
            if quality >= _REPEATABLE and settings["codec"] == "libx264":
                # The same frames give the same file; with it, small frames do not always.
                stream.options = {**stream.options, "x264-params": "mbtree=0"}
            odd = height % 2 or width % 2
            even = (np.pad(frame, padding, mode="edge") for frame in frames) if odd else iter(frames)
            mux_frames(container, stream, even)
    except FFmpegError as error:
        raise MotionloomError(
            f"{path}: cannot be encoded as {settings['codec']}, {width}x{height} ({error})"
        ) from error


def mux_frames(container: OutputContainer, stream: VideoStream, frames: Iterable[NDArray[np.uint8]]) -> None:
    """Encode frames uint8 [H, W, 3] with even sides to the end of a stream of that size, with the colours of
    `write_video`.
    """
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.IEC61966_2_1
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    for frame in frames:
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").reformat(
            format="yuv420p",
            src_colorspace=Colorspace.ITU709,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )
        container.mux(stream.encode(picture))
    container.mux(stream.encode())


def read_envelope(path: Path) -> Envelope | None:
    """The envelope in the container's comment, without decoding a frame."""
    with open_video(path) as container:
        return envelope_of(container)


def read_video(path: Path, *, max_frames: int, max_pixels: int) -> tuple[NDArray[np.uint8], float, Envelope | None]:
    """Frames uint8 [T, H, W, 3], frames per second, and the envelope if motionloom wrote the file."""
    with open_video(path) as container:
        if not container.streams.video:
            raise FileFormatError(f"{path}: holds no video stream")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        envelope = envelope_of(container)
        height, width = stream.codec_context.height, stream.codec_context.width
        _check(path, max(stream.frames, 1), height, width, max_frames, max_pixels)
        fps = frame_rate(path, stream, envelope)
        frames: list[NDArray[np.uint8]] = []
        try:
            for picture in undamaged(path, container, stream):
                # Checked frame by frame, since headers may lie and a stream may change its size.
                _check(path, len(frames) + 1, picture.height, picture.width, max_frames, max_pixels)
                frame = upright(picture)
                if frames and frame.shape != frames[0].shape:
                    raise FileFormatError(f"{path}: the frame size changes at frame {len(frames)}")
                frames.append(frame)
        except FFmpegError as error:
            raise FileFormatError(f"{path}: the video is damaged after frame {len(frames)} ({error})") from error
    if not frames:
        raise FileFormatError(f"{path}: no frame could be decoded")
    height, width = meant_size(frames[0].shape, envelope)
    return np.ascontiguousarray(np.stack(frames)[:, :height, :width]), fps, envelope


def first_size(path: Path) -> tuple[int, int]:
    """(height, width) of a video, from its first frame alone."""
    with open_video(path) as container:
        if not container.streams.video:
            raise FileFormatError(f"{path}: holds no video stream")
        try:
            for picture in container.decode(container.streams.video[0]):
                return meant_size(upright(picture).shape, envelope_of(container))
        except FFmpegError as error:
            raise FileFormatError(f"{path}: the first frame cannot be read ({error})") from error
    raise FileFormatError(f"{path}: no frame could be decoded")


def undamaged(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """The decoded pictures of a stream from its beginning.

    Raises:
        FileFormatError: the file was cut off; FFmpeg would just stop there.
    """
    count, packets, lasted = 0, 0, 0

    def cut_off() -> FileFormatError:
        return FileFormatError(
            f"{path}: the video is damaged after frame {count}, as if cut off; make or fetch it again"
        )

    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise cut_off()
        if packet.size:
            packets, lasted = packets + 1, lasted + (packet.duration or 0)
        elif 0 < packets < stream.frames and lasted * (1 + 0.5 / packets) < (stream.duration or 0):
            # Cut between two packets, which leaves none of them broken. MP4 says how many there should be and how long
            # they last; a video trimmed without being encoded again may have fewer, but lasts as long as it says.
            raise cut_off()
        for picture in packet.decode():
            yield cast(av.VideoFrame, picture)
            count += 1


def upright(picture: av.VideoFrame) -> NDArray[np.uint8]:
    """A decoded picture as uint8 [H, W, 3] RGB, turned as its file says."""
    frame = picture.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    return np.rot90(frame, k=picture.rotation // 90) if picture.rotation else frame


def meant_size(shape: Sequence[int], envelope: Envelope | None) -> tuple[int, int]:
    """(height, width) of a decoded frame without the row and column that encoding an odd side has added."""
    height, width = shape[0], shape[1]
    if envelope and 0 <= height - envelope.size[0] <= 1 and 0 <= width - envelope.size[1] <= 1:
        return envelope.size
    return height, width


def frame_rate(path: Path, stream: VideoStream, envelope: Envelope | None) -> float:
    """Frames per second.

    Raises:
        FileFormatError: the file does not say.
    """
    rate = envelope.fps if envelope else float(stream.average_rate or stream.guessed_rate or stream.base_rate or 0)
    if not rate > 0:
        raise FileFormatError(f"{path}: the frame rate is not known; re-encode the video with a constant rate")
    return rate


def _check(path: Path, num_frames: int, height: int, width: int, max_frames: int, max_pixels: int) -> None:
    if num_frames > max_frames:
        raise FileFormatError(f"{path}: more than {max_frames} frames; cut the video or raise max_frames")
    if num_frames * height * width > max_pixels:
        raise FileFormatError(
            f"{path}: {num_frames} frames of {width}x{height} or more exceed {max_pixels / 1e6:.0f} million pixels "
            "in all; scale the video down or raise max_pixels"
        )


def open_video(path: Path) -> InputContainer:
    try:
        return av.open(os.fspath(path), "r", options={"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"})
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such file, expected a video") from None
    except (FFmpegError, OSError, ValueError) as error:
        raise FileFormatError(f"{path}: not a video motionloom can read ({error})") from None


def envelope_of(container: InputContainer) -> Envelope | None:
    """The envelope in an open container's comment."""
    for key, value in container.metadata.items():
        if key.lower() == "comment":
            return Envelope.loads(value)
    return None
