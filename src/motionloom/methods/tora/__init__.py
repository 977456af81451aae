"""Tora: trajectories as coloured flow, fused into every block of CogVideoX (Zhang et al. 2024, arXiv 2407.21705)."""
