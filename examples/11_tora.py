"""Tora: what it is shown of a motion; and a clip with it, from a photograph or from words, where its weights are."""

import motionloom as ml
from motionloom.draw import draw_flow
from motionloom.examples_data import example
from motionloom.models.catalog import find_model

image, motion_file = example("cat")
motion = ml.Motion.load(motion_file)

# Colours say what goes which way; the strongest is the fastest moment of the clip, whatever its speed.
photograph = ml.load("warp").generate(image, None, size=(240, 360), num_frames=25)
shown = draw_flow(motion, size=(240, 360), num_frames=25, scale_blob=True, legend=True)
over = draw_flow(motion, photograph, scale_blob=True)
ml.side_by_side(shown, over, labels=["what Tora is shown", "over the photograph"]).save("out/examples/tora.mp4")
print(shown, f"{motion.compile().num_tracks} tracks", sep=", ")

prompt = "A tabby cat slowly turns its head, its whiskers catching the light of a window. The camera does not move."
for name, start in (("tora-i2v", image), ("tora-t2v", None)):
    if find_model(name).installed:
        clip = ml.load(name).generate(start, motion, prompt=prompt, seed=0)
        ml.draw(clip, motion).save(f"out/examples/{name}.mp4")
    else:
        print(f"{name}: motionloom models fetch {name} gets it")
