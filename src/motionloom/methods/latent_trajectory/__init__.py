"""Latent-trajectory guidance for any image-to-video model: what Wan-Move does to its condition, done to another's."""

from motionloom.methods.latent_trajectory.latent_trajectory import FirstFrame, guide
from motionloom.methods.latent_trajectory.protocol import LatentTrajectory

__all__ = ["FirstFrame", "LatentTrajectory", "guide"]
