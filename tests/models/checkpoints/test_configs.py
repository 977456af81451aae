from __future__ import annotations

import diffusers
import pytest
from transformers import CLIPImageProcessor, CLIPVisionConfig, UMT5Config

from motionloom.errors import InputError
from motionloom.models.checkpoints.assemble import empty
from motionloom.models.checkpoints.configs import ARCHITECTURES, published_config

WAN = [name for name in ARCHITECTURES if name.startswith("wan")]
COGVIDEOX = ("CogVideoXTransformer3DModel", "AutoencoderKLCogVideoX")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.slow
def test_every_part_of_the_index_has_a_configuration_its_class_takes(architecture: str) -> None:
    index = published_config(architecture, "model_index")
    of_wan = architecture in WAN
    assert index["_class_name"].startswith("Wan" if of_wan else "CogVideoX")
    # The text encoder of CogVideoX is only ever read from a folder with its own configuration.
    without = {"tokenizer"} if of_wan else {"tokenizer", "text_encoder"}
    for part, entry in index.items():
        if not isinstance(entry, list) or entry[1] is None or part in without:
            continue
        config = published_config(architecture, part)
        # Unknown entries are ignored with no more than a message, so they are compared.
        if entry[1] in ("WanTransformer3DModel", "AutoencoderKLWan", *COGVIDEOX):
            kind = getattr(diffusers, entry[1])
            made = dict(empty(lambda kind=kind, config=config: kind.from_config(config)).config)
        elif entry[0] == "diffusers":
            made = dict(getattr(diffusers, entry[1]).from_config(config).config)
        else:
            kinds = {"UMT5EncoderModel": UMT5Config, "CLIPVisionModel": CLIPVisionConfig}
            kinds["CLIPImageProcessor"] = CLIPImageProcessor
            made = kinds[entry[1]](**config).to_dict()
        for key, value in config.items():
            if key not in ("_class_name", "architectures", "projection_dim"):
                found = list(made[key]) if isinstance(made[key], tuple) else made[key]
                assert found == value, (part, key)


@pytest.mark.slow
def test_sizes_of_the_published_models() -> None:
    parameters = {}
    for architecture in ARCHITECTURES:
        config = published_config(architecture, "transformer")
        kind = getattr(diffusers, config["_class_name"])
        model = empty(lambda kind=kind, config=config: kind.from_config(config))
        parameters[architecture] = sum(parameter.numel() for parameter in model.parameters())
    # The first two as counted in the published files; 5.0 billion as the authors call it.
    assert parameters["wan2.1-i2v-14b"] == 16_394_878_784
    assert parameters["wan2.2-i2v-a14b"] == 14_288_901_184
    assert round(parameters["wan2.2-ti2v-5b"] / 1e9, 1) == 5.0
    assert parameters["cogvideox-5b"] == 5_570_283_072
    assert parameters["cogvideox-5b-i2v"] == 5_570_479_680


def test_what_differs_between_them() -> None:
    indices = {name: published_config(name, "model_index") for name in WAN}
    assert indices["wan2.2-i2v-a14b"]["boundary_ratio"] == 0.9
    assert indices["wan2.2-ti2v-5b"]["expand_timesteps"] is True
    assert published_config("wan2.2-i2v-a14b", "transformer") == published_config("wan2.2-i2v-a14b", "transformer_2")
    codec = published_config("wan2.2-ti2v-5b", "vae")
    assert codec["z_dim"] == len(codec["latents_mean"]) == len(codec["latents_std"]) == 48
    assert min(codec["latents_std"]) > 0.3


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected one of wan2\.1-i2v-14b"):
        published_config("wan3", "vae")
    with pytest.raises(InputError, match="image_encoder"):
        published_config("wan2.2-i2v-a14b", "image_encoder")
