"""The geometric model: a photograph moved along tracks without any network."""

from motionloom.methods.warp.fill import fill
from motionloom.methods.warp.matte import matte
from motionloom.methods.warp.pipeline import WarpPipeline
from motionloom.methods.warp.warp import warp

__all__ = ["WarpPipeline", "fill", "matte", "warp"]
