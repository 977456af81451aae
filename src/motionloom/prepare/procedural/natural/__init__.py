"""Natural scenes: miniature worlds with light, depth, shadows, jointed, thin, soft and round things."""

from motionloom.prepare.procedural.natural.rendering import render_natural
from motionloom.prepare.procedural.natural.sampling import sample_natural
from motionloom.prepare.procedural.natural.scene import NaturalScene
from motionloom.prepare.procedural.natural.tracing import natural_layer_at, trace_natural

__all__ = ["NaturalScene", "natural_layer_at", "render_natural", "sample_natural", "trace_natural"]
