"""What kind of prompt a video model was trained on, and how a chat model is asked to write one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from motionloom.models.card import ModelCard

Style = Literal["photograph", "caption"]
"""What a model reads best: "photograph" a paragraph on what happens in a photograph, in any language; "caption" a long
English description of the whole video."""

MOST_SENTENCES = 6
"""Of a caption. Tora's authors ask for no more; the captions it was trained on have 125.5 words on average (appendix of
arXiv 2407.21705)."""

CAPTIONS = (
    "A small wooden rowing boat with peeling blue paint drifts from the left of the picture to the right across a "
    "still mountain lake at dawn. A man in a grey woollen jumper sits in its middle with both oars raised out of the "
    "water, and drops fall from their blades in slow lines. Behind the boat a narrow wake opens and breaks the "
    "reflection of dark firs and pale cliffs into bands of green and silver. Thin mist lies over the far shore and "
    "moves a little to the left, while the sun, still low, puts a warm rim on the edge of the boat. The camera stays "
    "still at the height of the water and shows the whole bay. The mood is calm, cool and quiet.",
    "In a bright kitchen with white tiles, a ginger cat walks along the edge of a wooden worktop from right to left "
    "and jumps down to a red stool. Its tail is held high and bends at the tip, its paws come down softly one before "
    "the other, and its green eyes look ahead to the place where it will land. A copper kettle on the stove behind it"
    " lets out a thin ribbon of steam that rises straight up and curls under the hood. Light falls through a window "
    "on the left and lays long yellow shapes on the floor, in which dust floats. The camera follows the cat with a "
    "slow pan, close enough to show single hairs of its coat.",
    "A paper lantern, round and orange, rises slowly in an arc from the bottom left to the top of a night sky full of"
    " stars. Its flame flickers, so that the creases of the paper brighten and darken, and it turns a little around "
    "itself as the wind takes hold of it. Below, a crowd in dark coats stands on a stone bridge, some with their arms"
    " raised, and follows it with their eyes. The river under the bridge carries broken reflections of warm light "
    "from left to right. Far away the outline of a town with two towers lies against a strip of deep blue. The camera"
    " tilts up gently and keeps the lantern in the upper third of the picture.",
)
"""Ours; examples of what a caption looks like."""

SYSTEM_PROMPTS: Mapping[Style, str] = {
    "photograph": (
        "You write prompts for a model that animates a photograph. You get a short prompt and a list of movements that "
        "the user has drawn on the photograph. Write one paragraph of 60 to 100 words that says what can be seen, what "
        "moves and how, and what the camera does. Keep every movement as it is given and invent no other. Keep names "
        "and quoted text. Write in the language of the prompt. Answer with the paragraph alone."
    ),
    "caption": (
        "You write prompts for a video model that was trained on long captions in English. You get a short prompt, "
        "maybe in another language, and a list of movements that the user has drawn. Refine the prompt into one "
        f"paragraph of 100 to 150 words, in English, in no more than {MOST_SENTENCES} sentences, as somebody would "
        "describe the finished video. Attend to every object that the prompt names: how it looks, where it is, how it "
        "moves and what happens to what is around it; then surroundings, light, mood and what the camera does. Keep "
        "every movement as it is given, with its direction and speed, and let nothing else move against it. Keep names "
        "and quoted text. Answer with the paragraph alone, in the manner of these examples:\n\n" + "\n\n".join(CAPTIONS)
    ),
}


def style_for(card: ModelCard | None) -> Style:
    """The style for a model: CogVideoX, and Tora on it, were trained on long English captions."""
    architecture = "" if card is None else card.architecture or ""
    return "caption" if architecture.startswith("cogvideox") else "photograph"


def within_sentences(text: str, most: int = MOST_SENTENCES) -> str:
    """The first sentences of a text, in one line."""
    return " ".join(re.split(r"(?<=[.!?])\s+", " ".join(text.split()))[:most])
