"""Training Tora: dense flow first, then sparse trajectories."""
