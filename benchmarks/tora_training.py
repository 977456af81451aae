"""How well an adapter that the recipe trained makes a tiny CogVideoX follow motion it has never seen.

    motionloom train tora --budget 40m --out runs/tora
    python benchmarks/tora_training.py runs/tora [--json FILE] [--clips N] [--tracks N] [--steps N] [--seed N]
                                                 [--compare SECONDS]

Held-out procedural clips of the trained size, with exact tracks. Every way gets the first frame and the same noise;
"sparse" is shown some tracks, "dense" all flow. Clips are enlarged six times and tracked with the package's offline
tracker; errors are in pixels of the clip. In the world of one sliding thing, whose soft textures hold little for a
tracker, "place" is a second measure: in every frame the thing is looked for where a true picture with the thing there
would differ least, to the pixel. The loss is the training's on held-out clips, with the same noise for all.

``--compare`` also trains, from the same base and for so long in all, the three designs of the fuser, and the published
one with only one of the two stages.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from _report import header, write
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel
from diffusers.schedulers.scheduling_ddim_cogvideox import CogVideoXDDIMScheduler
from numpy.typing import NDArray
from safetensors.torch import load_file

from motionloom.evaluate.tracks import epe
from motionloom.methods.tora.adapter import ToraAdapter
from motionloom.methods.tora.flow import dense_flow_video
from motionloom.methods.tora.hooks import attach
from motionloom.methods.tora.pipeline import ToraImageToVideoPipeline
from motionloom.models.nano.codec import CogVideoXBlockCodec
from motionloom.prepare.procedural import Scene, dense_flow, render, trace
from motionloom.tracks.trackers import track
from motionloom.tracks.tracks import Tracks
from motionloom.train.nano import VALIDATION_SEED
from motionloom.train.tora.conditions import Kind, MotionMix
from motionloom.train.tora.pool import World, procedural_clips, procedural_pool, procedural_scene
from motionloom.train.tora.recipe import ToraRecipe
from motionloom.train.tora.selection import select_tracks
from motionloom.train.tora.stages import AdapterRecipe, Base, Stage, stage_loss, train_adapter

FPS = 8.0
REACH = 12
"""Pixels to each side within which a thing is looked for."""

_TIMED = ("scale", "shift", "bend_phase", "bend_gain")
_STILL = ("bend_wave", "background", "sprites", "present")
ENLARGED = 6
"""The tracker compares patches of several pixels; these clips are small."""

COMPARED: dict[str, tuple[str, tuple[Kind, ...]]] = {
    "adaptive norm, both stages": ("adaptive_norm", ("dense", "sparse")),
    "adaptive norm, dense only": ("adaptive_norm", ("dense",)),
    "adaptive norm, sparse only": ("adaptive_norm", ("sparse",)),
    "extra channel, both stages": ("extra_channel", ("dense", "sparse")),
    "cross-attention, both stages": ("cross_attention", ("dense", "sparse")),
}


class HeldOut:
    """Clips that were never trained on: true frames uint8 [B, T, H, W, 3], dense flow, and tracks."""

    def __init__(self, count: int, num_tracks: int, size: tuple[int, int], frames: int, *, world: World) -> None:
        scene = procedural_scene(VALIDATION_SEED, range(count), size, frames, world=world)
        self.places = Places(scene, size) if world == "sliding" else None
        video = render(scene, size)
        self.video = video.permute(0, 1, 3, 4, 2).mul(255).round().to(torch.uint8).numpy()
        self.image = video[:, 0] * 2 - 1
        self.flow = [dense_flow_video(flow, normalisation="inference") for flow in dense_flow(scene, size)]
        start = torch.rand(count, 256, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([size[1], size[0]])
        points, visible = trace(scene, start, size)
        rng = np.random.default_rng(0)
        # Of random points mostly those that travel, as people draw them; at most as many as asked for.
        chosen = [
            select_tracks(p, v, size, rng, most=num_tracks, spacing=4.0) for p, v in zip(points, visible, strict=True)
        ]
        self.tracks = [
            Tracks(points[i][:, some].numpy(), visible[i][:, some].numpy(), size, FPS) for i, some in enumerate(chosen)
        ]


class Places:
    """Where the one thing of each clip is; pictures of it at every pixel around its first place."""

    def __init__(self, scene: Scene, size: tuple[int, int]) -> None:
        half = min(size) / 2
        reach = torch.arange(-REACH, REACH + 1) / half
        shifts = torch.complex(*torch.meshgrid(reach, reach, indexing="xy")).flatten()
        thing = scene.shift[:, 1]
        self.moved = (torch.view_as_real(thing - thing[:, :1]) * half).numpy()  # [B, T, 2] pixels
        self.shifts = (torch.view_as_real(shifts) * half).numpy()
        self.seen = ((torch.view_as_real(thing).abs() < 1).all(-1)).numpy()  # its centre is in the picture
        self.pictures: list[NDArray[np.uint8]] = []
        for clip in range(len(thing)):
            times = {name: getattr(scene, name)[clip : clip + 1, ..., :1] for name in _TIMED}
            stills = {name: value.expand(*value.shape[:-1], len(shifts)).clone() for name, value in times.items()}
            stills["shift"][:, 1] += shifts
            others = {name: getattr(scene, name)[clip : clip + 1] for name in _STILL}
            pictures = render(Scene(**stills, **others), size)[0]
            self.pictures.append(pictures.permute(0, 2, 3, 1).mul(255).round().to(torch.uint8).numpy())

    def error(self, videos: NDArray[np.uint8]) -> float:
        """Mean distance, in pixels, from where the thing should be; clips without one do not count."""
        errors: list[float] = []
        for video, pictures, moved, seen in zip(videos, self.pictures, self.moved, self.seen, strict=True):
            if np.ptp(pictures.astype(np.int16), axis=0).max() < 8:
                continue
            for t in np.flatnonzero(seen)[1:]:
                apart = ((pictures.astype(np.float32) - video[t]) ** 2).mean((1, 2, 3))
                errors.append(float(np.linalg.norm(self.shifts[apart.argmin()] - moved[t])))
        return float(np.mean(errors))


def following_error(videos: NDArray[np.uint8], wanted: list[Tracks]) -> float:
    """Mean EPE, in pixels, of the tracks found in videos [B, T, H, W, 3]."""
    errors = []
    for frames, tracks in zip(videos, wanted, strict=True):
        larger = np.stack(
            [cv2.resize(f, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC) for f in frames]
        )
        if not tracks.num_tracks:
            continue
        start = tracks.points[0] * ENLARGED
        found = track(larger, np.concatenate([np.zeros((len(start), 1)), start], axis=1), fps=FPS)
        error = epe(found.points / ENLARGED, tracks.points, tracks.visible)
        if error is not None:
            errors.append(error)
    return float(np.mean(errors))


def psnr(videos: NDArray[np.uint8], true: NDArray[np.uint8]) -> float:
    """Of the mean squared error against the true frames, the first one left out."""
    return float(10 * np.log10(255**2 / ((videos[:, 1:].astype(np.float64) - true[:, 1:]) ** 2).mean()))


class Trained:
    """The folder of a training: its base, and its adapters by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.vae: Any = CogVideoXBlockCodec.from_pretrained(folder / "base" / "vae")
        self.transformer: Any = CogVideoXTransformer3DModel.from_pretrained(folder / "base" / "transformer")
        self.scheduler: Any = CogVideoXDDIMScheduler.from_pretrained(folder / "base" / "scheduler")
        self.transformer.eval()
        config = self.transformer.config
        self.size = (config.sample_height * 4, config.sample_width * 4)
        self.frames = config.sample_frames
        told = json.loads((folder / "base.json").read_text())["recipe"]
        self.recipe = ToraRecipe(**{**told, "motion": MotionMix(**told["motion"])})
        self.world: World = self.recipe.world
        self.base = Base(self.transformer, self.vae, self.scheduler.alphas_cumprod)

    def adapters(self) -> dict[str, ToraAdapter]:
        """Untrained, after the dense stage, and after both."""
        final: Any = ToraAdapter.from_pretrained(self.folder / "adapter")
        found: dict[str, Any] = {"untrained": ToraAdapter.from_config(final.config)}
        checkpoint = self.folder / "0-dense.safetensors"
        if checkpoint.exists():
            dense: Any = ToraAdapter.from_config(final.config)
            dense.load_state_dict({k[8:]: v for k, v in load_file(checkpoint).items() if k.startswith("average.")})
            found["after the dense stage"] = dense
        found["after both stages"] = final
        return {name: adapter.eval() for name, adapter in found.items()}

    def generate(self, held: HeldOut, adapter: ToraAdapter, shown: str | None, steps: int, seed: int) -> Any:
        parts: dict[str, Any] = {"vae": self.vae, "transformer": self.transformer, "scheduler": self.scheduler}
        without: dict[str, Any] = {"tokenizer": None, "text_encoder": None}
        pipe: Any = ToraImageToVideoPipeline(**without, **parts, adapter=adapter)
        pipe.set_progress_bar_config(disable=True)
        config = self.transformer.config
        text = torch.zeros(len(held.image), config.max_text_seq_length, config.text_embed_dim)
        motion: dict[str, Any] = {"sparse": {"tracks": held.tracks}, "dense": {"flow": held.flow}}.get(shown or "", {})
        video = pipe(
            image=held.image,
            prompt_embeds=text,
            height=self.size[0],
            width=self.size[1],
            num_frames=self.frames,
            num_inference_steps=steps,
            guidance_scale=1.0,
            generator=torch.Generator().manual_seed(seed),
            output_type="np",
            **motion,
        ).frames
        return (np.asarray(video) * 255).round().astype(np.uint8)

    @torch.no_grad()
    def held_out_loss(self, adapter: ToraAdapter, kind: Kind, clips: int) -> float:
        batch = procedural_clips(self.vae, VALIDATION_SEED, range(clips), self.size, self.frames, world=self.world)
        batch.latents, batch.image, batch.flow = batch.latents.float(), batch.image.float(), batch.flow.float()
        with attach(self.transformer, adapter) as attachment:
            losses = [
                stage_loss(self.base, attachment, batch, kind, np.random.default_rng(seed), motion=self.recipe.motion)
                for seed in range(4)
            ]
        return float(torch.stack(losses).mean())


def scores(
    trained: Trained, held: HeldOut, adapter: ToraAdapter, shown: tuple[str, ...], steps: int, seed: int
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in shown:
        videos = trained.generate(held, adapter, kind if kind != "unguided" else None, steps, seed)
        found[kind] = measured(videos, held)
    return found


def measured(videos: NDArray[np.uint8], held: HeldOut) -> dict[str, float]:
    place = {} if held.places is None else {"place": round(held.places.error(videos), 3)}
    return {
        **place,
        "epe": round(following_error(videos, held.tracks), 3),
        "psnr": round(psnr(videos, held.video), 3),
    }


def compare(trained: Trained, held: HeldOut, seconds: float, steps: int, seed: int) -> dict[str, Any]:
    """Designs and stages, each trained for the same time from the same base."""
    results: dict[str, Any] = {}
    pool = procedural_pool(trained.vae, trained.size, trained.frames, 1, world=trained.world)
    for name, (design, kinds) in COMPARED.items():
        torch.manual_seed(seed)
        adapter = ToraAdapter.for_transformer(
            trained.transformer,
            design=design,  # pyright: ignore[reportArgumentType]
            condition_channels=trained.recipe.condition_channels,
        )
        rates: dict[Kind, float] = {"dense": trained.recipe.dense_rate, "sparse": trained.recipe.sparse_rate}
        if len(kinds) == 1:  # it gets the whole of the training, at the rate of its beginning
            rates["sparse"] = rates["dense"]
        recipe = AdapterRecipe(
            seed=seed,
            batch=trained.recipe.batch,
            stages=tuple(Stage(kind, 1 << 40, rates[kind]) for kind in kinds),
            motion=trained.recipe.motion,
            clip=1.0,
            warmup=0.05,
            averaging=trained.recipe.averaging,
        )
        out = trained.folder / "compared" / name.replace(" ", "-").replace(",", "")
        folder = train_adapter(
            out, trained.base, pool, adapter=adapter, recipe=recipe, seconds=[seconds / len(kinds)] * len(kinds)
        )
        made: Any = ToraAdapter.from_pretrained(folder)
        steps_made = [json.loads(line)["stage"] for line in (out / "log.jsonl").read_text().splitlines()]
        results[name] = {
            **scores(trained, held, made.eval(), ("sparse", "dense"), steps, seed),
            "loss": {kind: round(trained.held_out_loss(made, kind, 16), 4) for kind in ("dense", "sparse")},
            "training_steps": {kind: steps_made.count(kind) for kind in kinds},
            "million_parameters": round(sum(p.numel() for p in made.parameters()) / 1e6, 3),
        }
        print(f"  {name}: {results[name]}", flush=True)
    return results


def run(
    folder: Path, clips: int, num_tracks: int, steps: int, seed: int, compared_seconds: float | None
) -> dict[str, Any]:
    started = time.monotonic()
    trained = Trained(folder)
    held = HeldOut(clips, num_tracks, trained.size, trained.frames, world=trained.world)
    pixels = torch.from_numpy(held.video).float().permute(0, 4, 1, 2, 3) / 127.5 - 1
    with torch.no_grad():
        codec = trained.vae.decode(trained.vae.encode(pixels).latent_dist.mode()).sample
    coded = ((codec + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 4, 1).to(torch.uint8).numpy()
    still = np.repeat(held.video[:, :1], trained.frames, axis=1)
    result: dict[str, Any] = {
        "limits": {
            name: measured(videos, held)
            for name, videos in (("first frame held still", still), ("the true video, coded", coded))
        }
    }
    for name, adapter in trained.adapters().items():
        shown = ("unguided", "sparse", "dense") if name == "untrained" else ("sparse", "dense")
        result[name] = {
            **scores(trained, held, adapter, shown, steps, seed),
            "loss": {kind: round(trained.held_out_loss(adapter, kind, 16), 4) for kind in ("dense", "sparse")},
        }
        print(f"  {name}: {result[name]}", flush=True)
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    result["training"] = {
        stage: {
            "steps": len(rows),
            "seconds": rows[-1]["elapsed"],
            "loss_of_first_40_steps": round(float(np.mean([row["loss"] for row in rows[:40]])), 4),
            "loss_of_last_40_steps": round(float(np.mean([row["loss"] for row in rows[-40:]])), 4),
        }
        for stage in ("base", "dense", "sparse")
        if (rows := [row for row in log if row["stage"] == stage])
    }
    if compared_seconds:
        result["compared"] = {"seconds": compared_seconds, **compare(trained, held, compared_seconds, steps, seed)}
    seconds = round(time.monotonic() - started, 1)
    return {**result, "clips": clips, "tracks": num_tracks, "steps": steps, "seed": seed, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="what `motionloom train tora --out` wrote")
    parser.add_argument("--json", help="write the results to this file")
    parser.add_argument("--clips", type=int, default=24, help="held-out clips")
    parser.add_argument("--tracks", type=int, default=8, help="shown at once")
    parser.add_argument("--steps", type=int, default=12, help="denoising steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compare", type=float, help="seconds of training for each of the compared adapters")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    print(header())
    result = run(options.folder, options.clips, options.tracks, options.steps, options.seed, options.compare)
    print(json.dumps(result, indent=2))
    write(result, options.json)


if __name__ == "__main__":
    main()
