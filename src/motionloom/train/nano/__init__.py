"""The recipe of nano: train the small image-to-video model on procedural videos made on the fly.

The network predicts the clean latent on the straight path x_t = (1 - t) x_0 + t noise (Lipman et al. 2023, flow
matching). Times are drawn towards the noisy end, where it is decided what moves where, and errors count 1 / t.
"""

from motionloom.train.nano.objectives import Lesson, Objective, predict_clean, step_loss
from motionloom.train.nano.recipe import VALIDATION_SEED, NanoRecipe, Stage
from motionloom.train.nano.run import train
from motionloom.train.nano.team import training_device

__all__ = [
    "VALIDATION_SEED",
    "Lesson",
    "NanoRecipe",
    "Objective",
    "Stage",
    "predict_clean",
    "step_loss",
    "train",
    "training_device",
]
