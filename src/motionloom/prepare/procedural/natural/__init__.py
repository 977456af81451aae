"""Natural scenes: miniature worlds with light, depth, shadows, jointed, thin, soft and round things."""

from motionloom.prepare.procedural.natural.rendering import render_natural
from motionloom.prepare.procedural.natural.sampling import sample_natural
from motionloom.prepare.procedural.natural.scene import NaturalScene
from motionloom.prepare.procedural.natural.tracing import trace_natural

__all__ = ["NaturalScene", "render_natural", "sample_natural", "trace_natural"]
