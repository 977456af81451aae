"""Making benchmarks in MoveBench's layout: from the procedural generator, or from any folder of videos."""

from motionloom.evaluate.make_bench.from_videos import make_from_videos
from motionloom.evaluate.make_bench.made import Made
from motionloom.evaluate.make_bench.procedural import PROCEDURAL_SEED, make_procedural, pick_tracks

__all__ = ["PROCEDURAL_SEED", "Made", "make_from_videos", "make_procedural", "pick_tracks"]
