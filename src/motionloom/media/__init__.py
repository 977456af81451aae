"""Clips, and reading and writing images and video.

Shapes: frames are uint8 [T, H, W, 3] RGB, an image is uint8 [H, W, 3] RGB.
"""

from motionloom.media.clip import Clip, read_provenance, video_size
from motionloom.media.images import image_digest, read_image, write_image

__all__ = ["Clip", "image_digest", "read_image", "read_provenance", "video_size", "write_image"]
