"""Finding every part of a Tora model: the transformer, what Tora adds to it, and the rest of CogVideoX.

What was given may be a whole folder, the transformer alone (diffusers' or the SAT program's), or an add-on; what it
lacks is taken from its base, from what lies around it, and from what was fetched for other models.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from motionloom.errors import CheckpointError
from motionloom.methods.tora.checkpoint import kind_of
from motionloom.models.checkpoints.configs import published_config
from motionloom.models.checkpoints.folders import read_json
from motionloom.models.checkpoints.layouts import Layout, Place, neighbours
from motionloom.models.checkpoints.search import without_parts
from motionloom.models.checkpoints.tora_files import for_photographs

TEXT, IMAGE = "cogvideox-5b", "cogvideox-5b-i2v"
"""Architectures, as in ``models/configs``: text to video, image to video."""

_FAMILIES = {(1920, 30): "CogVideoX-2B", (3072, 42): "CogVideoX-5B"}
_CLASSES = ("CogVideoXTransformer3DModel", "ToraTransformer3DModel")
_PIPELINES = ("ToraPipeline", "ToraImageToVideoPipeline")
_OWN = {
    "vae": ("diffusers", "AutoencoderKLCogVideoX"),
    "motion_vae": ("diffusers", "AutoencoderKLCogVideoX"),
    "text_encoder": ("transformers", "T5EncoderModel"),
}
_TINY_CODEC = "CogVideoXBlockCodec"
"""What `motionloom train tora` gives its bases for a VAE."""
_CALLED = {
    "vae": "the video codec: the vae folder of CogVideoX",
    "text_encoder": "the T5 text encoder: the text_encoder folder of CogVideoX",
    "tokenizer": "the T5 tokenizer: the tokenizer folder of CogVideoX",
}


@dataclass(frozen=True)
class ToraParts:
    """All parts of a Tora model, each with its place.

    Attributes:
        architecture: `TEXT` or `IMAGE`.
        config: of the transformer, diffusers' names.
        places: by part; no "adapter" where it is ``inside`` the transformer's files. Without a "scheduler" the
            published one is meant; without "text_encoder" the model reads no text.
        inside: the transformer's files hold the adapter too.
    """

    architecture: str
    config: Mapping[str, Any]
    places: Mapping[str, Place]
    inside: bool


def holds_tora(layout: Layout) -> bool:
    """Whether a layout has, or says it has, anything of Tora in it; only headers are read."""
    if "adapter" in layout.places or layout.index.get("_class_name") in _PIPELINES:
        return True
    place = layout.places.get("transformer")
    return place is not None and _has_tora_inside(place)


def stock_cogvideox(layout: Layout) -> str | None:
    """What to do with a stock CogVideoX that follows no tracks as it is: text to video, or a transformer without its
    other parts; None: it is something else."""
    if layout.index.get("_class_name") == "CogVideoXPipeline":
        return (
            f"{layout.root}: makes videos of text alone and follows no tracks; give what Tora adds to it as the model "
            'and this folder as its base: motionloom.load("tora-t2v-addon", base=...), -m tora-t2v-addon --base ...'
        )
    place = layout.places.get("transformer")
    if layout.kind == "transformer" and place is not None and _is_cogvideox(place):
        return (
            f"{layout.root}: is the transformer of a stock CogVideoX alone; give the folder of the whole model, or an "
            "add-on of Tora as the model and this folder with transformer="
        )
    return None


def find_tora_parts(
    given: Layout,
    *,
    bases: Sequence[Layout] = (),
    transformer: Layout | None = None,
    fetched: Callable[[str], Iterable[Layout]] = lambda architecture: (),
    remedy: Callable[[str, Sequence[str]], str] = lambda architecture, parts: "",
    any_base: bool = False,
) -> ToraParts:
    """All parts of the Tora model in a layout.

    Args:
        given: what was asked for; bases: where to look for what it lacks, in this order.
        transformer: whose transformer an add-on is put on, before that of any base.
        fetched, remedy: see `search.find_parts`.
        any_base: an add-on on a base of the other task than its file name says is meant: no warning.

    Raises:
        CheckpointError: an adapter for another base, or parts that are in none of the places; the message lists them
            and what would do.
    """
    adapter = given.places.get("adapter")
    around = [near for layout in (given, *_listed(transformer), *bases) for near in neighbours(layout)]
    if adapter is None:
        place = _transformer_with_tora(given)
        if transformer is not None:
            raise CheckpointError(f"{place.path}: is a transformer itself, with Tora inside; leave transformer out")
    else:
        place = _base_transformer(adapter, [*_listed(transformer), given, *bases, *around], fetched, remedy)
    layouts = [given, *bases, *around]
    if not place.files:
        raise CheckpointError(f"{place.path}: holds no weights; the download is incomplete, fetch the folder again")
    config = _config_of(place, [layout.places["transformer"] for layout in layouts if "transformer" in layout.places])
    architecture = IMAGE if config["in_channels"] == 2 * config["out_channels"] else TEXT
    places = {"transformer": place}
    if adapter is not None:
        _check_base(adapter, place, config)
        if not any_base:
            _warn_of_other_task(adapter, place, architecture)
        places["adapter"] = adapter
    layouts += fetched(architecture)
    places |= _rest(layouts, config, place, architecture, remedy)
    return ToraParts(architecture, config, places, inside=adapter is None)


def _transformer_with_tora(given: Layout) -> Place:
    place = given.places.get("transformer")
    if place is None:
        raise CheckpointError(
            f"{given.root / 'transformer'}: missing, although model_index.json names it; fetch the folder again"
        )
    if place.files and not _has_tora_inside(place):
        raise CheckpointError(
            f"{given.root}: calls itself a {given.index.get('_class_name')} and holds a stock CogVideoX, without what "
            "Tora adds (a folder adapter, or a transformer with the fusers inside); fetch the folder again, or give an "
            "add-on of Tora as the model and this folder as its base"
        )
    return place


def _has_tora_inside(place: Place) -> bool:
    """Whether a transformer's files hold fusers too, by its configuration, else by its tensors."""
    if not place.files:
        return False
    named = str(read_json(place.config).get("_class_name", "")) if place.config is not None else ""
    if named not in ("", "CogVideoXTransformer3DModel"):
        return named == "ToraTransformer3DModel"
    from motionloom.models.checkpoints.source import open_source

    try:
        return kind_of(open_source(place.files).tensors) == "tora"
    except CheckpointError:
        return False  # whoever needs the transformer says what is wrong with it


def _base_transformer(
    adapter: Place,
    layouts: Sequence[Layout],
    fetched: Callable[[str], Iterable[Layout]],
    remedy: Callable[[str, Sequence[str]], str],
) -> Place:
    for layout in layouts:
        place = layout.places.get("transformer")
        if place is not None and _is_cogvideox(place):
            return place
        if place is not None:
            raise CheckpointError(
                f"{place.path}: holds no transformer of CogVideoX; Tora adds to CogVideoX-5B and CogVideoX-5B-I2V"
            )
    wanted = IMAGE if for_photographs([adapter.path, *adapter.files]) else TEXT
    for layout in fetched(wanted):
        place = layout.places.get("transformer")
        if place is not None and _is_cogvideox(place):
            return place
    fetch = remedy(wanted, ["transformer", "vae", "text_encoder", "tokenizer"])
    name = "zai-org/CogVideoX-5b-I2V" if wanted == IMAGE else "zai-org/CogVideoX-5b"
    raise CheckpointError(
        f"{adapter.path}: is what Tora adds to a CogVideoX model, not the model itself; give the folder of {name} with "
        f"--base (base= in Python){f', or {fetch}' if fetch else ''}"
    )


def _is_cogvideox(place: Place) -> bool:
    named = str(read_json(place.config).get("_class_name", "")) if place.config is not None else ""
    return named in _CLASSES if named else _has_tora_inside(place)


def _config_of(place: Place, others: Sequence[Place]) -> dict[str, Any]:
    """The configuration of a transformer: its own, else that of another one of the same shapes, else the published."""
    from motionloom.models.checkpoints.source import open_source
    from motionloom.models.checkpoints.tora_modules import seen_config, shapes_of

    if place.config is not None and read_json(place.config).get("_class_name") in _CLASSES:
        return read_json(place.config)
    source = open_source(place.files)
    seen = seen_config(source, shapes_of(source))
    known = [read_json(other.config) for other in others if other.config is not None]
    published = [published_config(name, "transformer") for name in (TEXT, IMAGE)]
    for config in [*known, *published]:
        if all(config.get(key, False) == value for key, value in seen.items()):
            return dict(config)
    raise CheckpointError(
        f"{place.path}: has a transformer {_described(*_size(seen))}, which is no published one "
        f"({_described(3072, 42)}) and not that of the base; put its config.json beside it"
    )


def _check_base(adapter: Place, place: Place, config: Mapping[str, Any]) -> None:
    own = _adapter_size(adapter)
    if own is not None and own != _size(config):
        raise CheckpointError(
            f"{adapter.path}: was made for a transformer {_described(*own)}, {place.path} is "
            f"{_described(*_size(config))}; give the base model it was made for"
        )
    grouped = None if adapter.config is None else read_json(adapter.config).get("patch_size_t")
    if grouped != config.get("patch_size_t"):
        sees = "CogVideoX 1.5, which sees pairs of latent frames"
        one, other = (sees, "CogVideoX 1.0") if grouped else ("CogVideoX 1.0", sees)
        raise CheckpointError(
            f"{adapter.path}: was made for {one}, {place.path} is a transformer of {other}; give the base model it was "
            "made for"
        )


def _adapter_size(adapter: Place) -> tuple[int, int] | None:
    """Width and blocks of the transformer an adapter is for; None: its tensors do not say."""
    if adapter.config is not None:
        config = read_json(adapter.config)
        return config.get("hidden_size", 3072), config.get("num_layers", 42)
    from motionloom.models.checkpoints.source import open_source
    from motionloom.models.checkpoints.tora_modules import shapes_of

    norms = [shape for name, shape in shapes_of(open_source(adapter.files)).items() if name.endswith("cond_norm.bias")]
    return (norms[0][0], len(norms)) if norms else None


def _warn_of_other_task(adapter: Place, place: Place, architecture: str) -> None:
    if adapter.config is not None or for_photographs(adapter.files) == (architecture == IMAGE):
        return
    file = next(iter(adapter.files))
    given, needed = ("text", "fuser_I2V.safetensors") if architecture == IMAGE else ("image", "fuser.safetensors")
    warnings.warn(
        f"{file}: is by its name Tora's add-on for {given} to video, and {place.path} makes videos from "
        f"{'a photograph' if architecture == IMAGE else 'text alone'}; the published file for it is {needed}. Nothing "
        "but the name tells them apart, so it is taken; any_base=True of motionloom.load says that this is meant",
        stacklevel=6,  # in the caller of `motionloom.load`
    )


def _rest(
    layouts: Sequence[Layout],
    config: Mapping[str, Any],
    transformer: Place,
    architecture: str,
    remedy: Callable[[str, Sequence[str]], str],
) -> dict[str, Place]:
    """The other parts of the pipeline, from the first layout that has one that fits."""
    places: dict[str, Place] = {}
    absent: dict[str, str] = {}
    others: list[Layout] = []  # whose text encoder is another model's, and the tokenizer with it
    for part in ("vae", "text_encoder", "tokenizer", "scheduler", "motion_vae"):
        notes: list[str] = []
        for layout in layouts:
            place = layout.places.get(part)
            if place is None or (part == "tokenizer" and layout in others):
                continue
            wrong = _misfit(place, config)
            if wrong is None:
                places[part] = place if place.component else replace(place, component=_OWN.get(part))
                break
            notes.append(f"{place.path} {wrong}")
            if part == "text_encoder":
                others.append(layout)
        without = any(layout.index.get(part) in ([None, None], (None, None)) for layout in layouts)
        if part in _CALLED and part not in places and not without:
            absent[part] = _CALLED[part] + (f" (found, but not taken: {'; '.join(notes)})" if notes else "")
    if absent:
        fetch = remedy(architecture, list(absent))
        raise CheckpointError(without_parts(f"{transformer.path}: a Tora model", layouts, absent, fetch))
    return places


def _misfit(place: Place, config: Mapping[str, Any]) -> str | None:
    """What is wrong with a part for a transformer; None: it fits, as far as its config.json says."""
    if place.part not in _OWN:
        return None
    if place.config is None:
        return "has no config.json"
    stated, kind = read_json(place.config), _OWN[place.part][1]
    found = stated.get("_class_name") or (stated.get("architectures") or [kind])[0]
    if found not in ((kind, _TINY_CODEC) if place.part == "vae" else (kind,)):
        return f"is a {found}, expected a {kind}"
    name, wanted = (
        ("d_model", config["text_embed_dim"])
        if place.part == "text_encoder"
        else ("latent_channels", config["out_channels"])
    )
    return None if stated.get(name) == wanted else f"has {name} {stated.get(name)}, the transformer needs {wanted}"


def _size(config: Mapping[str, Any]) -> tuple[int, int]:
    return config["num_attention_heads"] * config["attention_head_dim"], config["num_layers"]


def _described(width: int, layers: int) -> str:
    family = _FAMILIES.get((width, layers))
    return f"{width} wide with {layers} blocks" + (f" ({family})" if family else "")


def _listed(layout: Layout | None) -> list[Layout]:
    return [] if layout is None else [layout]
