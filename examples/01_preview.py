"""Set a photograph in motion without any network: seconds on any CPU, at full resolution."""

import motionloom as ml
from motionloom.examples_data import example

image, motion_file = example("rocket")
motion = ml.Motion.load(motion_file)

model = ml.load("warp")
clip = model.generate(image, motion, size=(284, 426), num_frames=17)

clip.save("out/examples/rocket.mp4")
ml.draw(clip, motion).save("out/examples/rocket.overlay.mp4")
print(clip)
