"""Projects: a picture, the motion drawn on it, how its videos are made, and everything these were before."""
