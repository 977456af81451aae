"""Models and LoRAs that jobs may name."""

from __future__ import annotations

from fastapi import APIRouter

from motionloom.studio import loras, models_facts
from motionloom.studio.api.shared import TheStudio
from motionloom.studio.schemas import Lora, ModelFacts

router = APIRouter(tags=["models"])


@router.get("/models", operation_id="listModels")
def list_models(studio: TheStudio) -> list[ModelFacts]:
    """The models of the catalogue and the folders this server offers; only these can be used."""
    return [models_facts.facts(offered) for offered in models_facts.offered(studio.settings)]


@router.get("/loras", operation_id="listLoras")
def list_loras(studio: TheStudio) -> list[Lora]:
    """The LoRAs in the folder ``loras`` of the server's data folder."""
    return loras.list_loras(studio.settings.data)
