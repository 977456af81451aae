"""The same call with the diffusion model that ships in the package, guided in two ways, beside the warp."""

import motionloom as ml
from motionloom.examples_data import example

image, motion_file = example("galaxies")
motion = ml.Motion.load(motion_file)

clips = {}
for method in ("ati", "wan_move"):
    model = ml.load("nano", method=method)
    clips[method] = model.generate(image, motion, seed=0, num_frames=9, num_inference_steps=8)
    clips[method].save(f"out/examples/galaxies.{method}.mp4")

size, frames = clips["ati"].size, clips["ati"].num_frames
clips["warp"] = ml.load("warp").generate(image, motion, size=size, num_frames=frames)
ml.side_by_side(*clips.values(), labels=list(clips)).save("out/examples/galaxies.compared.mp4")
print(clips)
