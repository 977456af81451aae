"""Move a photograph with a model that knows nothing of tracks: Time-to-Move shows it a rough animation instead."""

import motionloom as ml
from motionloom.examples_data import example

image, motion_file = example("cat")
motion = ml.Motion.load(motion_file)

model = ml.load("nano", method="time_to_move")
clip = model.generate(image, motion, seed=0, num_frames=9, num_inference_steps=8)

# What the model is shown, the warped photograph, beside what it makes of it.
shown = ml.load("warp").generate(image, motion, size=clip.size, num_frames=clip.num_frames)
ml.side_by_side(shown, clip, labels=["shown", "made"]).save("out/examples/time_to_move.mp4")
errors = ml.evaluate(clip, motion, metrics=["epe"])
print(clip, f"on average {errors['epe']:.1f} px from where it was drawn", sep=", ")
