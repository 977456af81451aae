"""Take the motion of one part of a video, put it elsewhere on a photograph, and work on the finished frames."""

import motionloom as ml
from motionloom.examples_data import example
from motionloom.tracks.transfer import transfer

warp = ml.load("warp")
image, motion_file = example("coffee")
video = warp.generate(image, ml.Motion.load(motion_file), size=(200, 300), num_frames=13)
video.save("out/examples/cup.mp4")

# The cup's motion, for the head of the cat: (left, top, right, bottom) in the video and on the photograph.
photograph, _ = example("cat")
found = transfer(
    "out/examples/cup.mp4",
    (300, 451),
    points=64,
    region=(110, 70, 230, 150),
    onto=(120, 30, 330, 250),
    fit="contain",
)
print(found)

clip = warp.generate(photograph, found.tracks, size=(200, 300), post="sharpen,interpolate=2")
clip.save("out/examples/cup_to_cat.mp4")
print(f"{video.num_frames} frames at {video.fps:.3g} fps, made into {clip.num_frames} at {clip.fps:.3g}")
