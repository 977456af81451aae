"""What a path is: the layouts in which video models are passed around, and where each part lies in them.

| kind | looks like |
|---|---|
| diffusers | a folder with model_index.json and a folder for each part |
| original | config.json (``_class_name`` WanModel) and shards, or high_noise_model/ and low_noise_model/; beside them |
|  | ``models_t5*.pth``, ``models_clip*.pth``, ``*VAE*.pth`` and google/umt5-xxl/, all of which may be missing |
| transformer | the transformer folder of a diffusers repository alone |
| comfyui | diffusion_models/ (or unet/), text_encoders/ (or clip/), vae/, clip_vision/ with one file for each part |
| loose | a folder with such files side by side |
| file | one of them |
| sat | a checkpoint of Tora's own program, mp_rank_00_model_states.pt, or a folder with one |
| addon | what Tora adds to CogVideoX: a folder that `ToraAdapter.save_pretrained` wrote, or the community's two files |
| tokenizer | a folder with tokenizer.json or spiece.model |
| fetched | the files of a model of the catalogue, each in the folder of its repository |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from motionloom.errors import CheckpointError
from motionloom.models.checkpoints.folders import (
    config_beside,
    is_searched,
    is_shard,
    is_weights,
    read_json,
    weights_in,
)
from motionloom.models.checkpoints.parts import WEIGHTS, Contents, contents
from motionloom.models.checkpoints.tora_files import addon_files, sat_file, transformer_file

LayoutKind = Literal[
    "diffusers", "original", "transformer", "comfyui", "loose", "file", "sat", "addon", "tokenizer", "fetched"
]

PIPELINES = (
    "WanImageToVideoPipeline",
    "CogVideoXImageToVideoPipeline",
    "CogVideoXPipeline",
    "ToraPipeline",
    "ToraImageToVideoPipeline",
)
"""What a model_index.json may name. ``CogVideoXPipeline`` follows no tracks by itself: it is a base for Tora."""

COMPONENTS = (
    "transformer",
    "transformer_2",
    "vae",
    "scheduler",
    "text_encoder",
    "tokenizer",
    "image_encoder",
    "image_processor",
    "adapter",
    "motion_vae",
)

_TRANSFORMERS = ("WanTransformer3DModel", "CogVideoXTransformer3DModel", "ToraTransformer3DModel")
_EXPERTS = ("high_noise_model", "low_noise_model")
_COMFYUI: Mapping[str, tuple[str, ...]] = {
    "transformer": ("diffusion_models", "unet"),
    "text_encoder": ("text_encoders", "clip"),
    "vae": ("vae",),
    "image_encoder": ("clip_vision",),
}
WITHOUT_WEIGHTS = ("scheduler", "tokenizer", "image_processor")
"""Parts that are configurations or words alone."""

_TOKENIZER_FILES = ("tokenizer.json", "spiece.model", "sentencepiece.bpe.model")
_TOKENIZERS = ("google/umt5-xxl", "tokenizer", "umt5-xxl", "text_encoders/umt5-xxl", "text_encoders/google/umt5-xxl")


@dataclass(frozen=True)
class Place:
    """Where one part lies.

    Attributes:
        part: a component of the pipeline.
        path: the file or folder, as it is named to the person.
        files: what `source.open_source` is to open; empty for parts without weights.
        config: the config.json that goes with them, if there is one.
        component: (library, class) where a model_index.json names them.
    """

    part: str
    path: Path
    files: tuple[Path, ...] = ()
    config: Path | None = None
    component: tuple[str, str] | None = None


@dataclass
class Layout:
    """What a path is, and where the parts lie in it.

    Attributes:
        places: parts whose place the layout settles.
        unsorted: by part, files that may hold it and have not been looked into.
        index: model_index.json, of a diffusers folder.
    """

    kind: LayoutKind
    root: Path
    places: dict[str, Place] = field(default_factory=dict)
    unsorted: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    index: Mapping[str, Any] = field(default_factory=dict)

    def find(self, part: str, refuse: Callable[[Contents], str | None], notes: list[str]) -> Place | None:
        """The place of a part that fits, None if there is none here.

        Of several files that fit the largest is taken, which holds the weights most exactly.

        Args:
            refuse: what is wrong with a file for this purpose, None if it fits.
            notes: gets a line for every file that was looked into and not taken.
        """
        settled = self.places.get(part)
        if settled is not None:
            try:
                reason = refuse(contents(settled.files)) if settled.files else None
            except CheckpointError as error:
                notes.append(str(error))
                return None
            if reason is None:
                return settled
            notes.append(f"{settled.path}: {reason}")
            return None
        fitting: list[tuple[int, Path]] = []
        for path in self.unsorted.get(part, ()):
            try:
                found = contents(path)
            except CheckpointError as error:
                notes.append(str(error))
                continue
            if found.kind != part:
                continue
            reason = refuse(found)
            if reason is None:
                fitting.append((found.size, path))
            else:
                notes.append(f"{path}: {reason}")
        return place_of_file(part, max(fitting)[1]) if fitting else None


def find_layout(path: Path) -> Layout:
    """What a file or folder is.

    Raises:
        CheckpointError: it does not exist, is nothing known, is two things at once, or is incomplete.
    """
    if path.is_file():
        return _of_file(path)
    if not path.is_dir():
        raise CheckpointError(f"{path}: no such folder or file, expected a model")
    if path.name in _EXPERTS and all((path.parent / expert).is_dir() for expert in _EXPERTS):
        return find_layout(path.parent)
    config = read_json(path / "config.json") if (path / "config.json").is_file() else {}
    kind = config.get("_class_name")
    if (path / "model_index.json").is_file():
        if kind == "WanModel":
            raise CheckpointError(
                f"{path}: holds a diffusers model (model_index.json) and an original one (config.json of a WanModel) "
                "at once; move one of the two into a folder of its own, and give that"
            )
        return _diffusers(path)
    if kind == "WanModel" or any((path / expert).is_dir() for expert in _EXPERTS):
        return _original(path)
    if kind in _TRANSFORMERS:
        return _transformer(path)
    if kind == "ToraAdapter":
        return _adapter(path)
    if kind:
        raise CheckpointError(
            f"{path}: holds a {kind}, expected a transformer of Wan or CogVideoX, an adapter of Tora, or a whole model"
        )
    if (checkpoint := sat_file(path)) is not None:
        return replace(_of_file(checkpoint), root=path)
    if any((path / part).is_dir() for part in ("transformer", "text_encoder", "image_encoder", "scheduler")):
        return _diffusers(path)
    for root in (path, path / "models"):
        folders = [name for names in _COMFYUI.values() for name in names if (root / name).is_dir()]
        if folders and not any(is_weights(file) for file in root.iterdir()):
            return _comfyui(root)
    if any((path / name).is_file() for name in _TOKENIZER_FILES):
        return Layout("tokenizer", path, {"tokenizer": Place("tokenizer", path)})
    if files := addon_files(path):
        return _addon(path, files)
    return _loose(path)


def neighbours(layout: Layout) -> list[Layout]:
    """What lies around a transformer that was given alone and may hold its other parts: ComfyUI's folders above a file,
    the files beside it, the repository around a transformer folder."""
    if layout.kind == "transformer":
        whole = layout.root.parent
        parts = ("vae", "text_encoder", "tokenizer")
        return [_diffusers(whole)] if any((whole / part).is_dir() for part in parts) else []
    if layout.kind != "file":
        return []
    found = [_comfyui(above.parent) for above in layout.root.parents if above.name in _COMFYUI["transformer"]][:1]
    beside = tuple(path for path in sorted(layout.root.parent.iterdir()) if is_searched(path) and path != layout.root)
    folder = Layout(
        "loose", layout.root.parent, unsorted=dict.fromkeys(("vae", "text_encoder", "image_encoder"), beside)
    )
    _add_tokenizer(folder)
    return [*found, folder]


def _of_file(path: Path) -> Layout:
    if path.suffix not in WEIGHTS and not path.name.endswith(".index.json"):
        raise CheckpointError(
            f"{path}: is no weight file; expected {', '.join(WEIGHTS)}, or the folder of a whole model"
        )
    kind = contents(path).kind
    if kind == "tora":
        return Layout(
            "sat" if path.suffix == ".pt" else "file", path, {"transformer": place_of_file("transformer", path)}
        )
    if (
        kind == "adapter"
        and (config := config_beside(path)) is not None
        and read_json(config).get("_class_name") == "ToraAdapter"
    ):
        return _adapter(path.parent)
    if files := addon_files(path):
        return _addon(path, files)
    return Layout("file", path, {kind: place_of_file(kind, path)})


def place_of_file(part: str, path: Path) -> Place:
    """A part in one file, with the config.json of its own folder if it is that of such a part."""
    return Place(part, path, (path,), config_beside(path))


def _diffusers(folder: Path) -> Layout:
    """The parts that are there; some may be missing, the model_index.json too where the folder serves as a base."""
    described = (folder / "model_index.json").is_file()
    index = read_json(folder / "model_index.json") if described else {}
    if described and index.get("_class_name") not in PIPELINES:
        raise CheckpointError(f"{folder}: holds a {index.get('_class_name')}, expected a {' or a '.join(PIPELINES)}")
    layout = Layout("diffusers", folder, index=index)
    for part in COMPONENTS:
        inside = folder / part
        library, class_name = index.get(part) or (None, None)
        if not inside.is_dir() or (described and (library is None or class_name is None)):
            continue
        config = inside / "config.json"
        layout.places[part] = Place(
            part,
            inside,
            () if part in WITHOUT_WEIGHTS else weights_in(inside),
            config if config.is_file() else None,
            (library, class_name) if library and class_name else None,
        )
    return layout


def _original(folder: Path) -> Layout:
    experts = [folder / name for name in _EXPERTS]
    layout = Layout("original", folder)
    if any(expert.is_dir() for expert in experts):
        missing = [expert for expert in experts if not weights_in(expert)]
        if missing:
            raise CheckpointError(
                f"{folder}: one of two experts is missing or empty: {', '.join(map(str, missing))}; Wan 2.2 A14B needs "
                "both, fetch the other folder too"
            )
        parts = dict(zip(("transformer", "transformer_2"), experts, strict=True))
    else:
        parts = {"transformer": folder}
    for part, inside in parts.items():
        files = weights_in(inside)
        if files == (folder,):  # under no name that says so: to be looked for among the other parts' files
            continue
        if not files:
            raise CheckpointError(
                f"{inside}: has a config.json of a WanModel and no weights (diffusion_pytorch_model*.safetensors)"
            )
        config = inside / "config.json"
        layout.places[part] = Place(part, inside, files, config if config.is_file() else None)
    rest = tuple(
        path
        for path in sorted(folder.iterdir())
        if is_weights(path) and not is_shard(path) and not path.name.startswith("diffusion_pytorch_model")
    )
    searched = ("vae", "text_encoder", "image_encoder", *(part for part in parts if part not in layout.places))
    layout.unsorted = dict.fromkeys(searched, rest)
    _add_tokenizer(layout)
    return layout


def _transformer(folder: Path) -> Layout:
    files = weights_in(folder)
    if not files:
        raise CheckpointError(f"{folder}: has a config.json of a transformer and no weights beside it")
    return Layout("transformer", folder, {"transformer": Place("transformer", folder, files, folder / "config.json")})


def _adapter(folder: Path) -> Layout:
    files = weights_in(folder)
    if not files:
        raise CheckpointError(f"{folder}: has a config.json of a ToraAdapter and no weights beside it")
    layout = Layout("addon", folder, {"adapter": Place("adapter", folder, files, folder / "config.json")})
    motion_vae = folder / "motion_vae"
    if motion_vae.is_dir():
        config = motion_vae / "config.json"
        layout.places["motion_vae"] = Place("motion_vae", motion_vae, weights_in(motion_vae), config)
    return layout


def _addon(path: Path, files: tuple[Path, ...]) -> Layout:
    return Layout("addon", path, {"adapter": Place("adapter", path, files)})


def _comfyui(root: Path) -> Layout:
    layout = Layout("comfyui", root)
    layout.unsorted = {
        part: tuple(path for name in names for path in sorted((root / name).rglob("*")) if is_searched(path))
        for part, names in _COMFYUI.items()
    }
    _add_tokenizer(layout)
    return layout


def _loose(folder: Path) -> Layout:
    index = sorted(folder.glob("*.index.json"))
    files = tuple(path for path in sorted(folder.iterdir()) if is_weights(path) and not (index and is_shard(path)))
    if not files and not index:
        listed = sorted(path.name for path in folder.iterdir())
        raise CheckpointError(
            f"{folder}: no such file model_index.json, no config.json and no weights in it (it holds "
            f"{', '.join(listed[:5]) or 'nothing'}{', ...' if len(listed) > 5 else ''}); expected a model folder in "
            "diffusers' layout, an original Wan folder, or ComfyUI's model files"
        )
    layout = Layout("loose", folder)
    for path in index:
        kind = contents(path).kind
        part = "transformer" if kind == "tora" else kind
        layout.places[part] = Place(part, folder, (path,))
    if "transformer" not in layout.places and (tora := transformer_file(files)) is not None:
        layout.places["transformer"] = place_of_file("transformer", tora)
    layout.unsorted = {part: files for part in _COMFYUI if part not in layout.places}
    _add_tokenizer(layout)
    return layout


def _add_tokenizer(layout: Layout) -> None:
    for name in _TOKENIZERS:
        folder = layout.root / name
        if any((folder / file).is_file() for file in _TOKENIZER_FILES):
            layout.places["tokenizer"] = Place("tokenizer", folder)
            return
