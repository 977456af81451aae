"""ATI: Gaussian splats of first-frame features along tracks (Wang et al. 2025, arXiv 2505.22944)."""
