"""Tora: what it is shown of a motion; and a clip with it, from a photograph or from words, where its weights are."""

import motionloom as ml
from motionloom.draw import draw_flow
from motionloom.examples_data import example
from motionloom.models.catalog import find_model

image, _ = example("cat")

# Two paths: the nose swings to the right and back down, an ear rises.
motion = ml.Motion.parse(
    {
        "format": "motionloom.motion",
        "version": 1,
        "canvas": {"width": 720, "height": 480},
        "num_frames": 49,
        "fps": 8.0,
        "instructions": [
            {"kind": "path", "points": [[430, 375, 0], [520, 300, 24], [580, 390, 48]], "curve": "catmull-rom"},
            {"kind": "path", "points": [[560, 130, 0], [560, 40, 48]]},
        ],
    }
)

# Colours say what goes which way; the strongest is the fastest moment of the clip, whatever its speed.
preview = ml.load("warp").generate(image, motion, size=(240, 360), num_frames=25)
shown = draw_flow(motion, size=(240, 360), num_frames=25, scale_blob=True, legend=True)
over = draw_flow(motion, preview, scale_blob=True)
ml.side_by_side(shown, over, labels=["what Tora is shown", "over a preview"]).save("out/examples/tora.mp4")
print(shown)

prompt = (
    "A close-up of a tabby cat with green eyes in front of a blurred room. It swings its head to the side and down "
    "again while one ear rises, its whiskers catching the soft light of a window. The camera does not move."
)
for name, start in (("tora-i2v", image), ("tora-t2v", None)):
    if find_model(name).installed:
        clip = ml.load(name).generate(start, motion, prompt=prompt, seed=0)
        ml.draw(clip, motion).save(f"out/examples/{name}.mp4")
    else:
        print(f"{name}: motionloom models fetch {name} gets it")
