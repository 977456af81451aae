"""A job: a photograph, a motion, a model and the parameters; run once, or again from a clip's provenance."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from PIL import Image

from motionloom import provenance
from motionloom.errors import CheckpointError, FileFormatError, InputError
from motionloom.media import Clip, read_image, read_provenance, video_size
from motionloom.models.memory_plans import PRESETS
from motionloom.models.parameters import RESOLUTIONS, Parameters
from motionloom.scale import launch
from motionloom.tracks.tracks import Tracks

if TYPE_CHECKING:
    from motionloom.models.memory_plans import Plan
    from motionloom.models.model import Model
    from motionloom.tracks.motion import Motion

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Job:
    """Everything one run needs.

    ``image`` is None for models that start from no photograph. ``model`` is a catalogue name, a folder or a hub id;
    ``device`` None means automatic.
    """

    image: Path | None
    motion: Motion | Tracks | None
    model: str
    parameters: Parameters = field(default_factory=Parameters)
    last_image: Path | None = None
    motion_file: Path | None = None
    device: str | None = None

    @property
    def title(self) -> str:
        """What it is called, for people: its photograph's name, else its motion's."""
        file = self.image or self.motion_file
        return file.name if file is not None else self.model

    @property
    def prompt(self) -> str | None:
        """Its own prompt, else that of its motion."""
        return self.parameters.prompt if self.parameters.prompt is not None else getattr(self.motion, "prompt", None)

    def check(self) -> None:
        """Refuse, before minutes of loading, what is known to be missing.

        Raises:
            InputError: see `motionloom.models.inputs.check_inputs`; a model that nobody knows yet is asked once loaded.
        """
        from motionloom.models.before_loading import card_before_loading
        from motionloom.models.inputs import check_inputs

        card = card_before_loading(self.model)
        if card is not None:
            check_inputs(
                self.model,
                has_image=self.image is not None,
                prompt=self.prompt,
                takes_image=card.takes_image,
                reads_text=card.reads_text,
            )

    def load_model(self, on_progress: Progress | None = None, *, num_videos: int | None = None) -> Model:
        """Its model.

        Args:
            on_progress: called with (bytes, total) as the weights are read.
            num_videos: plan memory for this job and so many videos at once; None: for what the model is made for,
                since other jobs will follow.
        """
        from motionloom.models.loading import load

        self.check()
        run = {} if num_videos is None else {**self._planned(), "num_videos": num_videos}
        model = load(self.model, device=self.device, on_progress=on_progress, **self.parameters.for_loading(), **run)
        if launch.is_worker():
            if not model.can_be_shared:
                raise InputError(
                    f"gpus: {self.model} cannot be shared by several processes, models of the Wan and "
                    "CogVideoX families can; use one GPU"
                )
            from motionloom.scale.parallel import shared

            _agree_on(model.plan)
            model.sharing = shared
        return model

    def _planned(self) -> dict[str, Any]:
        size, name = self.parameters.size, self.parameters.resolution
        if name is not None:
            from motionloom.methods.wan import size_for_area

            if self.image is not None:
                size = size_for_area(_size_of(self.image), RESOLUTIONS[name])
            elif self.motion is not None:
                size = size_for_area(self.motion.size, RESOLUTIONS[name])
        return {"size": size, "num_frames": self.parameters.num_frames}

    def drawn_seed(self) -> int:
        """The seed, or where that is left open (negative) a random one."""
        return self.parameters.seed if self.parameters.seed >= 0 else secrets.randbelow(2**31)

    def settled(self, model: Model, *, seed: int | None = None) -> Job:
        """The same job with its open choices made: a negative seed is drawn (or is ``seed``, that of an earlier run),
        a model that reads text gets the motion's own prompt where none is given, and one that starts from no photograph
        the shape of the one that is."""
        image, parameters = self.image, self.parameters
        if parameters.seed < 0:
            parameters = replace(parameters, seed=self.drawn_seed() if seed is None else seed)
        if model.reads_text:
            parameters = replace(parameters, prompt=self.prompt)
        if image is not None and not model.takes_image:
            image, parameters = None, model.shaped_like(read_image(image), parameters)
        return replace(self, image=image, parameters=parameters)

    def with_prompt(self, prompt: str | None) -> Job:
        """The same job with another prompt."""
        return replace(self, parameters=replace(self.parameters, prompt=prompt))

    def with_extended_prompt(self, extender: str) -> Job:
        """The same job with its prompt written out by a prompt extender; see `motionloom.prompts`.

        To be done before the model is loaded, since a chat model needs memory too. Without a prompt the motion's own is
        extended. The clip's provenance holds the prompt that was used, so that making it again needs no extender.
        """
        from motionloom.models.before_loading import card_before_loading
        from motionloom.prompt_styles import style_for
        from motionloom.prompts import PromptContext, extend_prompt

        style = style_for(card_before_loading(self.model))
        picture = None if self.image is None else read_image(self.image)
        context = PromptContext(prompt=self.prompt or "", image=picture, motion=self.motion, style=style)
        return self.with_prompt(extend_prompt(extender, context))

    def record(self, digest: str, *, beside: Path | None = None) -> dict[str, Any]:
        """The part of the provenance that is known before the run; ``digest`` is that of the model's weights."""
        return provenance.run_record(
            image=self.image,
            last_image=self.last_image,
            motion=self.motion or Tracks.empty(1, (1, 1), 1.0),
            motion_name=self.motion_file.name if self.motion_file else None,
            model=self.model,
            digest=digest,
            parameters=self.parameters.record(),
            beside=beside,
        )

    def run(
        self,
        *,
        model: Model | None = None,
        on_progress: Progress | None = None,
        command: Sequence[str] = (),
        beside: Path | None = None,
    ) -> Clip:
        """Generate the clip; its provenance holds all that `again` needs.

        Args:
            model: the model, where it is loaded already.
            on_progress: called with (step, total); may raise `Cancelled`.
            command: the command line, for the record.
            beside: the folder the clip will lie in, so that the record can say where the photograph is from there.
        """
        return self.run_videos(1, model=model, on_progress=on_progress, command=command, beside=beside)[0]

    def run_videos(
        self,
        num_videos: int,
        *,
        model: Model | None = None,
        on_progress: Progress | None = None,
        command: Sequence[str] = (),
        beside: Path | None = None,
    ) -> list[Clip]:
        """`run` for seeds that follow each other, made together."""
        if model is None:
            model = self.load_model()
        job = self.settled(model)
        return model.run(
            os.fspath(job.image) if job.image else None,
            job.motion,
            job.parameters,
            num_videos_per_prompt=num_videos,
            last_image=os.fspath(job.last_image) if job.last_image else None,
            on_progress=on_progress,
            motion_name=job.motion_file.name if job.motion_file else None,
            command=command,
            beside=beside,
        )


def _agree_on(plan: Plan | None) -> None:
    """Processes that share a video have to hold the model alike: in 8 bits it predicts something else."""
    mine = None if plan is None else [plan.preset, plan.transformer_storage, plan.vae_tiling]
    first = launch.agreed(mine)
    if mine is not None and first is not None and mine != first:
        smaller = max(mine[0], first[0], key=PRESETS.index)
        raise InputError(
            f"memory: the GPUs have different amounts free: one process chose {first[0]} and another {mine[0]}; "
            f"name one that all have room for, such as --memory {smaller}"
        )


def is_picture(path: Path) -> bool:
    """Whether a path names a still picture, by its ending or by what is in the file."""
    if path.suffix.lower() in _PICTURES:
        return True
    try:
        with Image.open(path):
            return True
    except (OSError, ValueError, Image.DecompressionBombError):
        return False


def blank_size(model: str, parameters: Parameters) -> tuple[int, int] | None:
    """(height, width) of the picture that a model makes from nothing, as far as is known before it is loaded."""
    from motionloom.models.before_loading import card_before_loading

    card = card_before_loading(model)
    return parameters.size or (card.native_size if card is not None else None)


def read_motion(
    path: Path, canvas: Path | tuple[int, int] | None, *, transfer: Mapping[str, Any] | None = None
) -> Motion | Tracks:
    """The motion in a file of any supported format.

    Args:
        path: a motion, tracks, or a video whose motion is taken over.
        canvas: the photograph, or the (height, width) of a picture yet to be made, which files that name no canvas
            refer to; None: such files are refused.
        transfer: how, for a video; see `motionloom.tracks.transfer.transfer`.

    Raises:
        InputError: ``transfer`` for what is no video.
    """
    from motionloom.models.inputs import read_motion_for
    from motionloom.tracks.transfer import is_video, motion_from_video

    if not path.is_file() and not (path.is_dir() and is_video(path)):
        found = "is a folder" if path.is_dir() else "no such file"
        raise FileFormatError(f"{path}: {found}, expected a motion, tracks or a video")
    size = _size_of(canvas) if isinstance(canvas, Path) else canvas
    if is_video(path):
        return motion_from_video(path, size or video_size(path), **(transfer or {}))
    if path.suffix.lower() in _PICTURES:
        raise FileFormatError(f"{path}: is a picture, expected a motion, tracks or a video")
    if transfer:
        raise InputError(f"--transfer-{next(iter(transfer))}: for a video as MOTION, {path} is none")
    return read_motion_for(path, size)


def _size_of(image: Path) -> tuple[int, int]:
    height, width = read_image(image).shape[:2]
    return height, width


_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".heic")


def compiled(motion: Motion | Tracks | None, clip: Clip) -> Tracks:
    """The tracks of a motion on a clip's canvas and frames."""
    return fitted(motion, clip.size, clip.num_frames, clip.fps)


def fitted(motion: Motion | Tracks | None, size: tuple[int, int], num_frames: int, fps: float) -> Tracks:
    """The tracks of a motion on a canvas of (height, width), at its true speed: cut, or held, to so many frames."""
    if motion is None:
        return Tracks.empty(num_frames, size, fps)
    if isinstance(motion, Tracks):
        return motion.resize(size).resample(num_frames, fps=fps)
    return motion.compile(size=size, num_frames=num_frames, fps=fps)


def parse_size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT as (height, width)."""
    match = re.fullmatch(r"\s*0*([1-9]\d{0,4})\s*[xX*]\s*0*([1-9]\d{0,4})\s*", text)
    if not match:
        raise InputError(f"size: found {text!r}, expected WIDTHxHEIGHT such as 832x480")
    return int(match[2]), int(match[1])


def parse_option(text: str) -> tuple[str, Any]:
    """NAME=VALUE of a method's option; the value as YAML has it: number, true or false, text, [list], {mapping}."""
    name, equals, value = text.partition("=")
    if not (equals and re.fullmatch(r"[a-z]\w*", name.strip())):
        raise InputError(f"--set: found {text!r}, expected NAME=VALUE such as cfg_mode=split")
    try:
        return name.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        return name.strip(), value


def parse_window(text: str) -> tuple[float, float]:
    """START:END as two numbers."""
    try:
        start, end = (float(part) for part in text.split(":"))
    except ValueError:
        raise InputError(f"window: found {text!r}, expected START:END such as 0:0.8") from None
    return start, end


def again(
    path: Path, *, image: Path | None = None, last_image: Path | None = None, device: str | None = None
) -> tuple[Job, dict[str, Any]]:
    """The job that made a clip, and its record.

    Args:
        path: a clip that motionloom generated.
        image: where the photograph is now, when it moved; it must be the same file, byte for byte.
        last_image: the same for the last frame's photograph.
        device: where to run.

    Raises:
        FileFormatError: no provenance inside, or the photograph is gone or another one.
    """
    record = read_provenance(path)
    provenance.check_record(record, path)
    if record["image"] is None and image is not None:
        raise InputError(f"--image: {path} was made without a photograph; leave it out")
    found = _same_file(record["image"], path, image, "--image") if record["image"] else None
    last = _same_file(record["last_image"], path, last_image, "--last-image") if record.get("last_image") else None
    name = record["motion"].get("name")
    job = Job(
        image=found,
        motion=provenance.read_motion_record(record["motion"]["record"]),
        model=record["model"]["name"],
        parameters=Parameters.from_record(record["parameters"]),
        last_image=last,
        motion_file=Path(name) if name else None,
        device=device,
    )
    return job, record


def check_model(model: Model, record: Mapping[str, Any], *, force: bool) -> str | None:
    """Refuse other weights than the recorded ones, or with ``force`` say so in one line."""
    expected = record["model"].get("digest")
    if model.digest == expected:
        return None
    text = f"model {record['model']['name']}: the weights are not those of the clip ({_short(model.digest)} here, "
    text += f"{_short(expected)} then)"
    if force:
        return text
    raise CheckpointError(f"{text}; frames would differ, use --force to go on all the same")


def _same_file(record: Mapping[str, Any], clip: Path, given: Path | None, option: str) -> Path:
    if given is None:
        return provenance.find_file(record, clip, option=option)
    digest = provenance.image_digest(given)
    if digest != record["sha256"]:
        raise FileFormatError(
            f"{given}: is not the file {clip.name} was made from (sha256 {_short(digest)}, "
            f"expected {_short(record['sha256'])})"
        )
    return given


def _short(digest: str | None) -> str:
    return f"{digest[:12]}..." if digest else "none"
