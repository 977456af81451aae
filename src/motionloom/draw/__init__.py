"""Showing motion on pictures: trails on a video, paths on a photograph, clips side by side, contact sheets."""

from motionloom.draw.flow import draw_flow, draw_flow_paths, draw_tora
from motionloom.draw.overlay import draw, draw_paths
from motionloom.draw.pen import ANCHOR, PALETTE, Colour, Style
from motionloom.draw.sheet import contact_sheet, side_by_side

__all__ = [
    "ANCHOR",
    "PALETTE",
    "Colour",
    "Style",
    "contact_sheet",
    "draw",
    "draw_flow",
    "draw_flow_paths",
    "draw_paths",
    "draw_tora",
    "side_by_side",
]
