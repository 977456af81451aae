"""Numbers for a clip: does it move as drawn, is it steady, does it begin with the photograph."""

import motionloom as ml
from motionloom.examples_data import example
from motionloom.media import Clip

image, motion_file = example("cat")
motion = ml.Motion.load(motion_file)

clip = ml.load("warp").generate(image, motion, size=(160, 240), num_frames=9)
still = Clip(clip.frames[[0] * clip.num_frames], clip.fps)

numbers = {
    name: ml.evaluate(video, motion, first_image=image)
    for name, video in {"moved by warp": clip, "standing still": still}.items()
}
for metric in ("epe", "pck_05", "motion_magnitude", "ic", "endpoint_first_ssim"):
    print(f"{metric:22}", "  ".join(f"{name}: {found[metric]:.3g}" for name, found in numbers.items()))
