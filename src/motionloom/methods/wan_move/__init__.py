"""Wan-Move: first-frame latent cells copied along tracks (Chu et al. 2025, arXiv 2512.08765)."""
