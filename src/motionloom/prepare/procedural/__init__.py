"""Procedural videos with exact tracks: textured layers that move, turn, scale, bend and hide each other.

Everything is a function of (seed, index): the same pair gives the same clip on one machine, whatever the batch. There
are two styles: simple clips of flat layers, and natural ones (`NaturalScene`) of things in a light, in depth.

Geometry. Lengths are in *half short sides*: the centre of the image is 0 and the nearer border is at 1. A point on a
layer has a material coordinate m (complex: x + iy). At time t the layer is bent, turned in depth and foreshortened
(natural clips only), then moved by a similarity:

    u + bend(u, t) = m,        w = turn(u, t),        x = a(t) w + b(t)        (a, b complex)

Frames look up m for every pixel; tracks solve the same equation for u, so they are exact up to rounding. Balls have
surface points instead of m, which turn with them.

Shape letters: B clips, L layers, T frames, N points, H W pixels.
"""

from motionloom.prepare.procedural.cropping import cropped
from motionloom.prepare.procedural.natural import NaturalScene
from motionloom.prepare.procedural.photographed import with_photographs
from motionloom.prepare.procedural.rendering import render
from motionloom.prepare.procedural.sampling import Style, sample_scene
from motionloom.prepare.procedural.scene import BACKGROUND_REACH, MAX_LAYERS, WAVES, Scene
from motionloom.prepare.procedural.textures import outline, texture
from motionloom.prepare.procedural.tracing import dense_flow, layer_at, trace, visible_before

__all__ = [
    "BACKGROUND_REACH",
    "MAX_LAYERS",
    "WAVES",
    "NaturalScene",
    "Scene",
    "Style",
    "cropped",
    "dense_flow",
    "layer_at",
    "outline",
    "render",
    "sample_scene",
    "texture",
    "trace",
    "visible_before",
    "with_photographs",
]
