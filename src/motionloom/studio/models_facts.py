"""The models a server offers: those of the catalogue, and folders it was started with. Jobs can name no others."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionloom.errors import MotionloomError
from motionloom.studio.problems import Refused
from motionloom.studio.schemas import ModelFacts, MotionLimits
from motionloom.studio.settings import StudioSettings

if TYPE_CHECKING:
    from motionloom.models.card import ModelCard

log = logging.getLogger("motionloom.studio")


@dataclass(frozen=True)
class Offered:
    """A model by the name it has on the wire; ``source`` is what `motionloom.load` takes."""

    name: str
    source: str
    card: ModelCard


def offered(settings: StudioSettings) -> list[Offered]:
    """All models of a server, those of the catalogue first; looks at the disk, not at the network."""
    from motionloom.models.catalog import list_models

    found = [Offered(card.name, card.name, card) for card in list_models()]
    taken = {each.name for each in found}
    for folder in settings.models:
        name = _free_name(folder, taken)
        taken.add(name)
        try:
            found.append(Offered(name, str(folder), local_card(folder)))
        except MotionloomError:
            # Moved away or broken since the server was started; the others are still there.
            log.warning("the model %s cannot be offered", name, exc_info=True)
    return found


def find(settings: StudioSettings, name: str) -> Offered:
    """The model of that name.

    Raises:
        Refused: ``bad_request``, with the names there are.
    """
    known = offered(settings)
    for each in known:
        if each.name == name:
            return each
    for each in known:
        if name.strip().lower() in each.card.aliases:
            return each
    names = ", ".join(each.name for each in known)
    raise Refused("bad_request", f"model: found {name[:80]!r}, expected one of {names}")


def facts(model: Offered) -> ModelFacts:
    """What there is to know about a model before it is loaded."""
    card = model.card
    height, width = card.native_size or (None, None)
    sampling = card.sampling
    return ModelFacts(
        name=model.name,
        title=card.title,
        description=card.description,
        licence=card.licence,
        commercial_use=card.commercial_use,
        methods=list(card.methods),
        width=width,
        height=height,
        num_frames=card.num_frames,
        fps=card.fps,
        num_inference_steps=sampling.num_inference_steps if sampling else card.default_steps,
        guidance_scale=sampling.guidance_scale if sampling else None,
        reads_text=card.reads_text,
        takes_image=card.takes_image,
        takes_last_image=card.takes_last_image,
        solvers=list(card.solvers),
        installed=card.installed,
        size_on_disk=card.size_on_disk,
        memory=card.memory,
        limits=_limits(card),
        notes=list(card.notes),
    )


def _limits(card: Any) -> MotionLimits:
    known = getattr(card, "limits", None)
    if known is None:
        return MotionLimits()
    names = MotionLimits.model_fields
    return MotionLimits(**{name: getattr(known, name) for name in names if hasattr(known, name)})


def local_card(folder: Path) -> ModelCard:
    """What a folder says of the model in it.

    Raises:
        CheckpointError: there is none that can be loaded.
    """
    from dataclasses import replace

    from motionloom.models.before_loading import card_of_layout
    from motionloom.models.checkpoints.layouts import find_layout
    from motionloom.models.checkpoints.tora import IMAGE, TEXT
    from motionloom.models.checkpoints.tora_files import for_photographs
    from motionloom.models.local_card import card_of_folder, card_of_tora

    layout = find_layout(folder)
    card = card_of_layout(layout)
    if card is None and (addon := layout.places.get("adapter")) is not None:
        # Put on the stock model of its own task, which lies beside it or was fetched.
        card = card_of_tora(IMAGE if for_photographs([addon.path, *addon.files]) else TEXT, layout.root)
    card = card or card_of_folder(layout)
    return replace(card, title=folder.name, description="A model in a folder of this server.")


def _free_name(folder: Path, taken: set[str]) -> str:
    base = folder.name or "model"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    return name
