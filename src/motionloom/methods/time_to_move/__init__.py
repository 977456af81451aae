"""Time-to-Move: any image-to-video model moved without training (Singer et al. 2025, arXiv 2511.08633)."""

from motionloom.methods.time_to_move.cue import motion_cue
from motionloom.methods.time_to_move.dual_clock import PUBLISHED, Clocks
from motionloom.methods.time_to_move.sampling import TimeToMove

__all__ = ["PUBLISHED", "Clocks", "TimeToMove", "motion_cue"]
