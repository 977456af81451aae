"""Motion transfer: follow points through one video, and move another photograph the same way."""

import motionloom as ml
from motionloom.examples_data import example

warp = ml.load("warp")
image, motion_file = example("galaxies")
video = warp.generate(image, ml.Motion.load(motion_file), size=(180, 206), num_frames=13)

tracks = ml.track(video, 24)
print(tracks)

other, _ = example("cat")
clip = warp.generate(other, tracks, size=(180, 270))
ml.side_by_side(video, clip, labels=["source", "moved the same way"]).save("out/examples/transfer.mp4")
