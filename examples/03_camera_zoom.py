"""Write a motion in code: the camera zooms in and rolls; save the motion, compile it, draw it."""

import motionloom as ml
from motionloom.examples_data import example

image, _ = example("coffee")
motion = ml.Motion.parse(
    {
        "format": "motionloom.motion",
        "version": 1,
        "canvas": {"width": 600, "height": 400},
        "num_frames": 25,
        "fps": 12.0,
        "instructions": [{"kind": "camera", "zoom": 1.5, "roll": 8.0, "easing": "ease-in-out", "spacing": 50.0}],
    }
)
motion.save("out/examples/zoom.motion.json")

tracks = motion.compile()
print(tracks)

clip = ml.load("warp").generate(image, motion, size=(200, 300))
ml.draw(clip, motion).save("out/examples/zoom.gif")
