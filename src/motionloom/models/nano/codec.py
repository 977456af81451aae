"""The codec of nano: a closed-form autoencoder with the interface and latent layout of ``AutoencoderKLWan``.

A block of 4 frames x 4 x 4 pixels becomes one latent vector by an orthonormal basis fitted to moving images (principal
components). The first frame is coded alone, as the block in which it stands still for four frames, in the same basis:
a first-frame code copied along a track then means the same thing in a later latent frame.

    [B, 3, 1 + 4n, H, W] in [-1, 1]   <->   [B, C, 1 + n, H / 4, W / 4]

Further channels may say which place of the first frame a cell shows (`motionloom.models.nano.provenance`). The encoder
knows that of the first frame, and finds it in a video; of frames without a picture it whispers that cells stay where
they are. What the latents tell is decoded by moving the first frame; elsewhere the blocks are shown, deblocked.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.models.modeling_utils import ModelMixin

from motionloom.errors import InputError
from motionloom.models.nano import provenance
from motionloom.models.nano.deblocking import deblocked
from motionloom.models.nano.motion_search import is_video, search

BLOCK = provenance.CELL  # pixels in height and width, and frames, of one block
BLOCK_VALUES = 3 * BLOCK**3
_GOOD = 8e-3  # mean squared error in the range from -1 to 1, 27 dB


class BlockCodec(ModelMixin, ConfigMixin):
    """Linear block codec. ``encode`` and ``decode`` take and return what ``AutoencoderKLWan``'s do.

    Args:
        z_dim: latent channels C: those of the blocks, at most 192 (then their code is lossless), and four more for each
            wavelength.
        latents_mean, latents_std: C numbers each; pipelines feed (latent - mean) / std to the transformer. The
            standard deviations are tempered (see `BlockCodec.fit`), so that coarse channels stay larger than fine ones.
        wavelengths: of the provenance, in pixels, longest first; none for blocks alone, which are decoded as they are.
        scale_factor_spatial, scale_factor_temporal: 4 and 4, read by the pipelines.
    """

    basis: torch.Tensor
    mean: torch.Tensor

    @register_to_config
    def __init__(
        self,
        z_dim: int = 48,
        latents_mean: list[float] | None = None,
        latents_std: list[float] | None = None,
        wavelengths: tuple[float, ...] = (),
        scale_factor_spatial: int = BLOCK,
        scale_factor_temporal: int = BLOCK,
    ) -> None:
        super().__init__()
        blocks = z_dim - 4 * len(wavelengths)
        if not 1 <= blocks <= BLOCK_VALUES:
            raise InputError(
                f"z_dim: found {z_dim}, of which {4 * len(wavelengths)} for wavelengths; "
                f"expected 1 to {BLOCK_VALUES} others"
            )
        self.wavelengths = tuple(wavelengths)
        self.register_to_config(latents_mean=latents_mean or [0.0] * z_dim, latents_std=latents_std or [1.0] * z_dim)
        # Rows are orthonormal: encoding multiplies by the basis, decoding by its transpose.
        self.basis = torch.nn.Parameter(torch.eye(blocks, BLOCK_VALUES), requires_grad=False)
        self.mean = torch.nn.Parameter(torch.zeros(BLOCK_VALUES), requires_grad=False)

    @classmethod
    def fit(
        cls,
        videos: list[torch.Tensor],
        z_dim: int = 48,
        *,
        tempering: float = 0.5,
        wavelengths: tuple[float, ...] = (),
    ) -> BlockCodec:
        """The codec whose basis loses least of some videos.

        Args:
            videos: float tensors [B, 3, 1 + 4n, H, W] in [-1, 1].
            z_dim: channels, with those of the wavelengths.
            wavelengths: of the provenance; see `motionloom.models.nano.provenance`.
            tempering: latents_std is the deviation of each channel to this power (times a constant that makes the mean
                square of all channels 1). 1 whitens; below 1 fine channels stay small, so that noise covers them first
                and a diffusion model settles coarse structure before detail.
        """
        codes = 4 * len(wavelengths)
        basis, mean, std = _principal_blocks(videos, z_dim - codes, tempering)
        codec = cls(
            z_dim=z_dim,
            latents_mean=[0.0] * z_dim,
            latents_std=[float(f"{v:.6g}") for v in std.tolist()] + [1.0] * codes,
            wavelengths=wavelengths,
        )
        codec.basis.data.copy_(basis)
        codec.mean.data.copy_(mean)
        return codec

    def encode(self, x: torch.Tensor, return_dict: bool = True) -> AutoencoderKLOutput | tuple[Any, ...]:
        """`codes` as a distribution without spread (mode = sample), as ``AutoencoderKLWan.encode`` returns it.

        Where every frame of a clip shows something, the latents say where in the first frame things come from, as far
        as it can be found (`motionloom.models.nano.motion_search`) and serves the picture: as in video codecs, cells
        that come out worse when the first frame is moved, all of it, are left to their blocks.
        """
        codes = self.codes(x)
        for number, clip in enumerate(x):
            if self.wavelengths and is_video(clip):
                places, seen = search(clip)
                found = self.with_places(codes[number], places, seen)
                codes[number] = self.with_places(codes[number], places, seen & self._serves(found, clip))
        posterior = _certain(codes)
        return AutoencoderKLOutput(latent_dist=posterior) if return_dict else (posterior,)

    def decode(self, z: torch.Tensor, return_dict: bool = True) -> DecoderOutput | tuple[torch.Tensor]:
        """`pictures`, as ``AutoencoderKLWan.decode`` returns them."""
        video = self.pictures(z)
        return DecoderOutput(sample=video) if return_dict else (video,)

    def codes(self, x: torch.Tensor) -> torch.Tensor:
        """[B, 3, 1 + 4n, H, W] in [-1, 1] -> latents [B, C, 1 + n, H/4, W/4].

        Raises:
            InputError: frames are not 1 + 4n, or height or width is not a multiple of 4.
        """
        codes = (_all_blocks(x) - self.mean) @ self.basis.T
        if self.wavelengths:
            own = provenance.own_phases(codes.shape[2:4], self.wavelengths, x.device).to(codes)
            own = own.repeat(*codes.shape[:2], 1, 1, 1)
            own[:, 1:] *= provenance.WHISPER
            codes = torch.cat([codes, own], dim=-1)
        return codes.permute(0, 4, 1, 2, 3)

    def pictures(self, z: torch.Tensor) -> torch.Tensor:
        """[B, C, 1 + n, h, w] -> video [B, 3, 1 + 4n, 4h, 4w], clamped to [-1, 1]."""
        video, moved, share = self._decoded(z)
        if moved is None:
            return video
        rest = video[:, :, 1:]
        return torch.cat([video[:, :, :1], (rest + (moved - rest) * share).to(video)], dim=2)

    def _decoded(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | float]:
        """Of latents [B, C, 1 + n, h, w], all in [-1, 1]: the video [B, 3, 1 + 4n, H, W] of the blocks, deblocked where
        latents tell; the frames after the first made by moving it [B, 3, 4n, H, W], if latents tell; their shares
        [B, 1, 4n, H, W]."""
        blocks, phases = z.permute(0, 2, 3, 4, 1).split([len(self.basis), z.shape[1] - len(self.basis)], dim=-1)
        video = _all_pictures(blocks @ self.basis + self.mean)
        if not self.wavelengths or z.shape[2] == 1:
            return video, None, 0.0
        video = torch.cat([video[:, :, :1], deblocked(video[:, :, 1:], BLOCK)], dim=2)
        size = video.shape[-2], video.shape[-1]
        centres = provenance.cell_centres(*z.shape[-2:], device=z.device)
        found, length = provenance.places(phases[:, 1:].float(), centres, size, self.wavelengths)
        moved, share = provenance.compensate(video[:, :, 0].float(), found, length)
        return video, moved.clamp(-1, 1), share

    def _serves(self, codes: torch.Tensor, clip: torch.Tensor) -> torch.Tensor:
        """bool [n, h, w]: cells of codes [C, 1 + n, h, w] that show the clip [3, 1 + 4n, H, W] well by moving the first
        frame, or at least as well as by their blocks."""
        video, moved, _ = self._decoded(codes[None])
        assert moved is not None
        by_blocks, by_moving = (
            _to_blocks((made - clip[None, :, 1:]).square()).mean(-1)[0] for made in (video[:, :, 1:], moved)
        )
        return (by_moving <= by_blocks) | (by_moving <= _GOOD)

    def with_places(self, codes: torch.Tensor, places: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """Latents, normalised or not, that say of each cell after the first frame where in that frame it comes from.

        Args:
            codes: [..., C, 1 + n, h, w].
            places, seen: [..., n, h, w, 2] in pixels and [..., n, h, w]; see `motionloom.prepare.procedural.sources`.
        """
        size = codes.shape[-2] * BLOCK, codes.shape[-1] * BLOCK
        told = (provenance.phases(places, size, self.wavelengths) * seen[..., None]).movedim(-1, -4)
        told_codes = codes.clone()
        told_codes[..., len(self.basis) :, 1:, :, :] = told.to(codes)
        return told_codes


class CogVideoXBlockCodec(ModelMixin, ConfigMixin):
    """The same closed-form codec with the interface of ``AutoencoderKLCogVideoX``, for tiny CogVideoX pipelines.

    CogVideoX scales all latent channels by one number, so their tempered deviations are part of the code here.

    Args:
        latent_channels: C, at most 192 (then the code is lossless).
        block_out_channels, temporal_compression_ratio, scaling_factor, invert_scale_latents: read by the pipelines;
            three blocks mean 4x4 pixels per latent cell.
    """

    basis: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 16,
        block_out_channels: tuple[int, ...] = (1, 1, 1),
        temporal_compression_ratio: int = BLOCK,
        scaling_factor: float = 1.0,
        invert_scale_latents: bool = False,
    ) -> None:
        super().__init__()
        if not 1 <= latent_channels <= BLOCK_VALUES:
            raise InputError(f"latent_channels: found {latent_channels}, expected 1 to {BLOCK_VALUES}")
        self.basis = torch.nn.Parameter(torch.eye(latent_channels, BLOCK_VALUES), requires_grad=False)
        self.mean = torch.nn.Parameter(torch.zeros(BLOCK_VALUES), requires_grad=False)
        self.std = torch.nn.Parameter(torch.ones(latent_channels), requires_grad=False)

    @classmethod
    def fit(
        cls, videos: list[torch.Tensor], latent_channels: int = 16, *, tempering: float = 0.5
    ) -> CogVideoXBlockCodec:
        """As `BlockCodec.fit`."""
        codec = cls(latent_channels)
        for own, fitted in zip(
            (codec.basis, codec.mean, codec.std), _principal_blocks(videos, latent_channels, tempering), strict=True
        ):
            own.data.copy_(fitted)
        return codec

    def encode(self, x: torch.Tensor, return_dict: bool = True) -> AutoencoderKLOutput | tuple[Any, ...]:
        """[B, 3, 1 + 4n, H, W] in [-1, 1] -> a distribution without spread over [B, C, 1 + n, H/4, W/4].

        Raises:
            InputError: frames are not 1 + 4n, or height or width is not a multiple of 4.
        """
        posterior = _certain((((_all_blocks(x) - self.mean) @ self.basis.T) / self.std).permute(0, 4, 1, 2, 3))
        return AutoencoderKLOutput(latent_dist=posterior) if return_dict else (posterior,)

    def decode(self, z: torch.Tensor, return_dict: bool = True) -> DecoderOutput | tuple[torch.Tensor]:
        """[B, C, 1 + n, h, w] -> video [B, 3, 1 + 4n, 4h, 4w], clamped to [-1, 1]."""
        video = _all_pictures((z.permute(0, 2, 3, 4, 1) * self.std) @ self.basis + self.mean)
        return DecoderOutput(sample=video) if return_dict else (video,)


def _principal_blocks(
    videos: list[torch.Tensor], channels: int, tempering: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Basis [C, 192], mean [192] and tempered deviations [C] of the blocks of some videos; see `BlockCodec.fit`."""
    moment = torch.zeros(BLOCK_VALUES, BLOCK_VALUES, dtype=torch.float64)
    total, count = torch.zeros(BLOCK_VALUES, dtype=torch.float64), 0
    for video in videos:
        rows = torch.cat([_to_blocks(part).flatten(0, 3) for part in _split_first(video)]).double()
        moment += rows.T @ rows
        total += rows.sum(0)
        count += len(rows)
    mean = total / count
    covariance = moment / count - torch.outer(mean, mean)
    variance, vectors = torch.linalg.eigh(covariance)
    basis = vectors.T.flip(0)[:channels]
    # A fixed sign, so that the same videos give the same codec everywhere.
    basis = basis * torch.sign(basis.gather(1, basis.abs().argmax(1, keepdim=True)))
    deviation = variance.flip(0)[:channels].clamp_min(1e-12).sqrt()
    std = deviation**tempering
    return basis, mean, std * (deviation / std).square().mean().sqrt()


def _certain(latent: torch.Tensor) -> DiagonalGaussianDistribution:
    """A distribution whose mode and samples are ``latent``."""
    spread = torch.full_like(latent, -30.0)
    return DiagonalGaussianDistribution(torch.cat([latent, spread], dim=1), deterministic=True)


def _all_blocks(x: torch.Tensor) -> torch.Tensor:
    """[B, 3, 1 + 4n, H, W] -> [B, 1 + n, H/4, W/4, 192]; refuses other shapes."""
    frames, height, width = x.shape[-3:]
    if (frames - 1) % BLOCK or height % BLOCK or width % BLOCK:
        raise InputError(
            f"video: found {frames} frames of {width}x{height}, "
            f"expected 1 + {BLOCK}n frames and sides that are multiples of {BLOCK}"
        )
    return torch.cat([_to_blocks(part) for part in _split_first(x)], dim=1)


def _all_pictures(blocks: torch.Tensor) -> torch.Tensor:
    """[B, 1 + n, h, w, 192] -> [B, 3, 1 + 4n, 4h, 4w]."""
    video = _from_blocks(blocks)
    first = video[:, :, :BLOCK].mean(2, keepdim=True)
    return torch.cat([first, video[:, :, BLOCK:]], dim=2).clamp(-1, 1)


def _split_first(video: torch.Tensor) -> list[torch.Tensor]:
    """The first frame standing still for one block, and the frames after it (left out if there are none)."""
    still = video[:, :, :1].expand(-1, -1, BLOCK, -1, -1)
    return [still] if video.shape[2] == 1 else [still, video[:, :, 1:]]


def _to_blocks(video: torch.Tensor) -> torch.Tensor:
    """[B, 3, 4n, H, W] -> [B, n, H/4, W/4, 192]."""
    batch, channels, frames, height, width = video.shape
    blocks = video.reshape(batch, channels, frames // BLOCK, BLOCK, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    return blocks.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4)


def _from_blocks(blocks: torch.Tensor) -> torch.Tensor:
    """[B, n, h, w, 192] -> [B, 3, 4n, 4h, 4w]."""
    batch, frames, height, width, _ = blocks.shape
    parts = blocks.reshape(batch, frames, height, width, 3, BLOCK, BLOCK, BLOCK).permute(0, 4, 1, 5, 2, 6, 3, 7)
    return parts.reshape(batch, 3, frames * BLOCK, height * BLOCK, width * BLOCK)
