"""Time-to-Move: any image-to-video model moved without training (Singer et al. 2025, arXiv 2511.08633)."""
