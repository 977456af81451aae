"""One motion, every tool: write it as other programs want it, and read it back."""

from pathlib import Path

import motionloom as ml
from motionloom.examples_data import example

_, motion_file = example("cat")
tracks = ml.Motion.load(motion_file).compile()

out = Path("out/examples")
out.mkdir(parents=True, exist_ok=True)
ml.write_tracks(tracks, out / "cat.pth", format="ati")
ml.write_tracks(tracks, out / "cat.npz", format="cotracker")
ml.write_tracks(tracks, out / "cat.csv", format="blender")

back = ml.read_tracks(out / "cat.npz", size=tracks.size, fps=tracks.fps)
print("as drawn: ", tracks)
print("read back:", back)
print("for 17 frames at 8 fps:", back.resample(17, fps=8.0))
