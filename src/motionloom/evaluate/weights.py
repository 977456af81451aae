"""The networks that metrics look through: which file each one is, where it comes from, where it lies on this disk.

Nothing is fetched unless asked for. A file is looked for, in this order: where the caller says; where the environment
says (``MOTIONLOOM_WEIGHTS_<NAME>``, dashes as underscores); in the folder ``metrics`` beside the models that
`motionloom models` keeps; among them; in the hub's own cache.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from motionloom.errors import InputError, MotionloomError
from motionloom.models.card import HubFile, ModelCard
from motionloom.models.store import models_folder, repository_folder

_CONFIG = "config.json"
_SAFETENSORS, _TORCH = "model.safetensors", "pytorch_model.bin"  # what a folder may hold; the latter weights-only


class WeightsMissing(MotionloomError):
    """A network is not on this disk; the message names the file, where it comes from and where to put it."""


@dataclass(frozen=True)
class Weights:
    """A network's file or folder.

    Attributes:
        name: of it here; title: one line.
        file: its usual name; of a folder of the hub, what its weights are called.
        licence: of the weights; commercial_use: None where not established.
        repo: "owner/name" of the hub, where it can be fetched from; ``path`` inside it when it is a single file.
        page: where people find it, for files that are on no hub.
        extra: other files of the folder.
        checksum: hex SHA-256, or its beginning, where published.
    """

    name: str
    title: str
    file: str
    licence: str
    commercial_use: bool | None = None
    repo: str | None = None
    path: str | None = None
    page: str | None = None
    extra: tuple[str, ...] = ()
    checksum: str = ""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder as transformers reads it."""
        return bool(self.extra)

    @property
    def variable(self) -> str:
        """The environment variable that may say where it is."""
        return "MOTIONLOOM_WEIGHTS_" + self.name.upper().replace("-", "_")

    @property
    def home(self) -> Path:
        """Where it belongs on this disk."""
        if self.repo:
            folder = repository_folder(self.repo)
            return folder if self.is_folder else folder / (self.path or self.file)
        return models_folder() / "metrics" / self.file

    def card(self) -> ModelCard:
        """As `motionloom.models.fetch` wants it."""
        assert self.repo is not None
        names = (self.file, *self.extra) if self.is_folder else (self.path or self.file,)
        return ModelCard(
            name=self.name,
            title=self.title,
            description=self.title,
            licence=self.licence,
            commercial_use=self.commercial_use,
            methods=(),
            files=tuple(HubFile(self.repo, name, "pipeline", about=True) for name in names),
            installed=False,
        )


_CLIP_FILES = (_CONFIG, "preprocessor_config.json", "tokenizer.json", "vocab.json", "merges.txt")
_IMAGE_FILES = (_CONFIG, "preprocessor_config.json")

WEIGHTS: dict[str, Weights] = {
    entry.name: entry
    for entry in (
        Weights(
            "clip-vit-base-patch32",
            "CLIP ViT-B/32: clip_i_temporal, clipsim, background_consistency",
            _TORCH,
            "MIT (openai/CLIP)",
            True,
            repo="openai/clip-vit-base-patch32",
            extra=_CLIP_FILES,
        ),
        Weights(
            "clip-vit-large-patch14",
            "CLIP ViT-L/14: clip_i of MoveBench, the aesthetic head",
            _TORCH,
            "MIT (openai/CLIP)",
            True,
            repo="openai/clip-vit-large-patch14",
            extra=_CLIP_FILES,
        ),
        Weights(
            "dino-vitb16",
            "DINO ViT-B/16: subject_consistency",
            _TORCH,
            "Apache-2.0",
            True,
            repo="facebook/dino-vitb16",
            extra=_IMAGE_FILES,
        ),
        Weights(
            "inception-fid",
            "Inception-v3 as FID has it (port of the TensorFlow release)",
            "pt_inception-2015-12-05-6726825d.pth",
            "Apache-2.0",
            True,
            page="https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights",
            checksum="6726825d",
        ),
        Weights(
            "i3d-torchscript",
            "I3D on Kinetics-400 as StyleGAN-V's FVD has it (TorchScript)",
            "i3d_torchscript.pt",
            "not stated",
            page="https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt (named by universome/stylegan-v)",
        ),
        Weights(
            "i3d-tats",
            "I3D on Kinetics-400 as TATS' FVD has it",
            "i3d_pretrained_400.pt",
            "MIT (songweige/TATS)",
            page="https://github.com/songweige/TATS/raw/main/tats/fvd/i3d_pretrained_400.pt",
        ),
        Weights(
            "videomae-ssv2",
            "VideoMAEv2 ViT-g on Something-Something v2: content-debiased FVD",
            "vit_g_hybrid_pt_1200e_ssv2_ft.pth",
            "not stated",
            repo="OpenGVLab/InternVideoMAE_models",
            path="mae-g/vit_g_hybrid_pt_1200e_ssv2_ft.pth",
        ),
        Weights(
            "raft-things",
            "RAFT trained on FlyingThings3D: dynamic_degree of VBench",
            "raft-things.pth",
            "BSD-3-Clause",
            True,
            page="https://github.com/princeton-vl/RAFT",
        ),
        Weights(
            "raft-large",
            "RAFT as torchvision has it by default: epe_flow",
            "raft_large_C_T_SKHT_V2-ff5fadd5.pth",
            "BSD-3-Clause",
            True,
            page="https://download.pytorch.org/models/raft_large_C_T_SKHT_V2-ff5fadd5.pth",
            checksum="ff5fadd5",
        ),
        Weights(
            "alexnet",
            "AlexNet on ImageNet: the backbone of lpips_alex",
            "alexnet-owt-7be5be79.pth",
            "BSD-3-Clause (torchvision)",
            None,
            page="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
            checksum="7be5be79",
        ),
        Weights(
            "vgg16",
            "VGG-16 on ImageNet: the backbone of lpips_vgg",
            "vgg16-397923af.pth",
            "BSD-3-Clause (torchvision)",
            None,
            page="https://download.pytorch.org/models/vgg16-397923af.pth",
            checksum="397923af",
        ),
        Weights(
            "lpips-alex",
            "LPIPS v0.1: linear heads for AlexNet",
            "alex.pth",
            "BSD-2-Clause",
            True,
            page="https://github.com/richzhang/PerceptualSimilarity (lpips/weights/v0.1)",
        ),
        Weights(
            "lpips-vgg",
            "LPIPS v0.1: linear heads for VGG-16",
            "vgg.pth",
            "BSD-2-Clause",
            True,
            page="https://github.com/richzhang/PerceptualSimilarity (lpips/weights/v0.1)",
        ),
        Weights(
            "rt-detr",
            "RT-DETR R50: finds the subject",
            _SAFETENSORS,
            "Apache-2.0",
            True,
            repo="PekingU/rtdetr_r50vd",
            extra=_IMAGE_FILES,
        ),
        Weights(
            "sam",
            "Segment Anything ViT-B: outlines the subject",
            _TORCH,
            "Apache-2.0",
            True,
            repo="facebook/sam-vit-base",
            extra=_IMAGE_FILES,
        ),
        Weights(
            "laion-aesthetic",
            "LAION's linear head on CLIP ViT-L/14: aesthetic",
            "sa_0_4_vit_l_14_linear.pth",
            "MIT",
            True,
            page="https://github.com/LAION-AI/aesthetic-predictor",
        ),
    )
}
"""By name. Licences are those of the page the file comes from; in brackets, of the program that published it, where the
page names none; else "not stated"."""


def find_weights(name: str, given: Mapping[str, Path] | None = None, *, allow_download: bool = False) -> Path:
    """Where a network is on this disk: a file, or a folder as transformers reads it.

    Args:
        name: a key of `WEIGHTS`.
        given: explicit places by name; they come first and must exist.
        allow_download: fetch it where it is missing and comes from the hub.

    Raises:
        WeightsMissing: it is nowhere.
        InputError: no such network, or an explicit place that does not hold it.
        CheckpointError: fetching failed.
    """
    if name not in WEIGHTS:
        raise InputError(f"weights: found {name!r}, expected one of {', '.join(WEIGHTS)}")
    weights = WEIGHTS[name]
    for source, path in (
        ("--weights", (given or {}).get(name)),
        (weights.variable, os.environ.get(weights.variable)),
    ):
        if path:
            return _checked(weights, Path(path).expanduser(), source)
    by_hand = models_folder() / "metrics"
    for path in (by_hand / weights.name, by_hand / weights.file, weights.home):
        if _holds(weights, path):
            return _checked(weights, path, str(path))
    cached = _in_hub_cache(weights)
    if cached is not None:
        return cached
    if allow_download and weights.repo:
        return _fetched(weights)
    raise WeightsMissing(_missing_text(weights))


def is_missing(name: str, given: Mapping[str, Path] | None = None, *, allow_download: bool = False) -> bool:
    """Whether a network is not to be had: nowhere on this disk, or damaged, and not to be fetched."""
    try:
        find_weights(name, given)
    except MotionloomError:
        return not (allow_download and WEIGHTS[name].repo)
    return False


@lru_cache(maxsize=64)
def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, or of a folder's weights; computed once per process."""
    file = path
    if path.is_dir():
        file = next(each for each in (path / _SAFETENSORS, path / _TORCH) if each.is_file())
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def parse_weights(pairs: tuple[str, ...] | list[str]) -> dict[str, Path]:
    """NAME=PATH pairs of the command line.

    Raises:
        InputError: not such a pair, no such name, or nothing of the kind there.
    """
    given: dict[str, Path] = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not equals or not path or name not in WEIGHTS:
            raise InputError(f"--weights: found {pair!r}, expected NAME=PATH with NAME one of {', '.join(WEIGHTS)}")
        given[name] = Path(path).expanduser()
        if not _holds(WEIGHTS[name], given[name]):
            raise InputError(_wrong_place(WEIGHTS[name], given[name], "--weights"))
    return given


def _checked(weights: Weights, path: Path, source: str) -> Path:
    if not _holds(weights, path):
        raise InputError(_wrong_place(weights, path, source))
    if weights.checksum and not sha256_of(path).startswith(weights.checksum):
        raise InputError(
            f"{source}: {path} is not the published {weights.file} (SHA-256 {sha256_of(path)[:8]}..., expected "
            f"{weights.checksum}...); fetch it again from {weights.page}"
        )
    return path


def _wrong_place(weights: Weights, path: Path, source: str) -> str:
    wanted = f"a folder with {weights.file} and {_CONFIG}" if weights.is_folder else "a file"
    found = "nothing there" if not path.exists() else "a folder" if path.is_dir() else "a file"
    return f"{source}: {weights.name} at {path}: found {found}, expected {wanted}"


def _holds(weights: Weights, path: Path) -> bool:
    if weights.is_folder:
        return (path / _CONFIG).is_file() and any((path / name).is_file() for name in (_SAFETENSORS, _TORCH))
    return path.is_file()


def _in_hub_cache(weights: Weights) -> Path | None:
    if not weights.repo:
        return None
    from huggingface_hub import try_to_load_from_cache

    for file in (_SAFETENSORS, _TORCH) if weights.is_folder else (weights.path or weights.file,):
        found = try_to_load_from_cache(weights.repo, file)
        if isinstance(found, str) and _holds(
            weights, place := Path(found).parent if weights.is_folder else Path(found)
        ):
            return place
    return None


def _fetched(weights: Weights) -> Path:
    from motionloom.models.fetch import fetch

    fetch(weights.card())
    return weights.home


def _missing_text(weights: Weights) -> str:
    names = ", ".join((weights.file, *weights.extra))
    what = f"the folder {weights.repo} ({names})" if weights.is_folder else weights.file
    hub = "the hub" if weights.is_folder else f"{weights.repo} on the hub"
    fetching = " or let it be fetched with --allow-download," if weights.repo else ""
    return (
        f"wants {what}, licence {weights.licence}, from {weights.page or hub}; put it at {weights.home},"
        f"{fetching} or say where it is with --weights {weights.name}=PATH or {weights.variable}"
    )
