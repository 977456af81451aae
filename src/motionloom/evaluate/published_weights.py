"""The networks that metrics look through: which file each one is, where it comes from, and under which licence.

What the loaders rest on: names and shapes of the tensors of Inception, I3D (TATS) and VideoMAEv2 are those of the
programs that read these files (pytorch-fid, cd-fvd), and outputs are compared with theirs on made-up weights; AlexNet,
VGG-16 and LPIPS follow torchvision and lpips, CLIP and DINO their folders of 2021 with today's transformers. Not
established without the files themselves: that VideoMAEv2's holds nothing but tensors beside its ``module`` entry, and
what StyleGAN-V's program accepts beyond the call its own metric makes, which is the one made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from motionloom.models.card import HubFile, ModelCard
from motionloom.models.store import models_folder, repository_folder

CONFIG = "config.json"
SAFETENSORS, TORCH = "model.safetensors", "pytorch_model.bin"
"""What a folder may hold; the latter is read as tensors only."""


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


_CLIP_FILES = (CONFIG, "preprocessor_config.json", "tokenizer.json", "vocab.json", "merges.txt")
_IMAGE_FILES = (CONFIG, "preprocessor_config.json")

WEIGHTS: dict[str, Weights] = {
    entry.name: entry
    for entry in (
        Weights(
            "clip-vit-base-patch32",
            "CLIP ViT-B/32: clip_i_temporal, clipsim, background_consistency",
            TORCH,
            "MIT (openai/CLIP)",
            True,
            repo="openai/clip-vit-base-patch32",
            extra=_CLIP_FILES,
        ),
        Weights(
            "clip-vit-large-patch14",
            "CLIP ViT-L/14: clip_i of MoveBench, the aesthetic head",
            TORCH,
            "MIT (openai/CLIP)",
            True,
            repo="openai/clip-vit-large-patch14",
            extra=_CLIP_FILES,
        ),
        Weights(
            "dino-vitb16",
            "DINO ViT-B/16: subject_consistency",
            TORCH,
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
            SAFETENSORS,
            "Apache-2.0",
            True,
            repo="PekingU/rtdetr_r50vd",
            extra=_IMAGE_FILES,
        ),
        Weights(
            "sam",
            "Segment Anything ViT-B: outlines the subject",
            TORCH,
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
