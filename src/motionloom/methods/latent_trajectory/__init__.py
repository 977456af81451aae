"""Latent-trajectory guidance for any image-to-video model: what Wan-Move does to its condition, done to another's."""
