"""What one process does: make the video of a case and seed, save it, measure the file, write the row."""

from __future__ import annotations

import math
import os
import platform
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionloom.errors import InputError, MotionloomError
from motionloom.evaluate.bench.candidate import Candidate, weights_signature
from motionloom.evaluate.bench.folder import CandidateFolder
from motionloom.evaluate.bench.identity import file_digest
from motionloom.evaluate.bench.rows import Work, work_on
from motionloom.evaluate.evidence import Evidence, Tools
from motionloom.evaluate.measuring import measured
from motionloom.evaluate.movebench import Case, open_benchmark
from motionloom.evaluate.run import row_key, write_json
from motionloom.evaluate.sample import Sample
from motionloom.media import Clip, read_provenance
from motionloom.models.parameters import RESOLUTIONS
from motionloom.scale.executors.devices import best_device
from motionloom.tracks.tracks import Tracks
from motionloom.version import __version__

if TYPE_CHECKING:
    from motionloom.models.model import Model

QUALITY = 97
"""Of the saved videos: what is measured is the file, as anybody else can measure it."""

_SAME_AREA = 2.0
"""A model is run at the first frame's own size up to this factor in area away from the sizes it was made for."""


class BenchWorker:
    """Makes and measures the videos of one candidate.

    Args:
        root, language, mode: of the benchmark; see `open_benchmark`.
        candidate: see `Candidate.record`; folder: of its results.
        reference_features: folder of what is kept of true videos.
        metrics: names; tools: arguments of `Tools.of` but the device.
        digest: of the weights, where it is known and every video is there: then no model is loaded.
        command: the command line, for the record inside the videos.
        home: the working folder that names of models and networks are seen from.
    """

    def __init__(
        self,
        *,
        device: str | None,
        root: str,
        language: str,
        mode: str,
        candidate: Mapping[str, Any],
        folder: str,
        reference_features: str,
        metrics: Sequence[str],
        tools: Mapping[str, Any],
        digest: str | None = None,
        command: Sequence[str] = (),
        home: str | None = None,
    ) -> None:
        if home is not None and os.path.isdir(home):
            os.chdir(home)
        benchmark = open_benchmark(root, language=language, mode=mode, strict=False)
        self._cases = {case.id: case for case in benchmark}
        self._candidate = Candidate.from_record(candidate)
        self._folder, self._reference_features = CandidateFolder(Path(folder)), Path(reference_features)
        self._metrics, self._command, self._tools = tuple(metrics), tuple(command), dict(tools)
        self._measuring = Tools.of(device=best_device(device), **tools)  # first: what is wrong there is told at once
        self._model: Model | None = None
        if self._candidate.videos is None and digest is None:
            signature = weights_signature(self._candidate)  # before the weights are read, which may take minutes
            self._model = self._load(device)
            digest = self._model.digest
            self._record(digest, signature, device)
        self._digest = digest or ""

    def run(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Do what is still to be done for ``case`` with ``seed``, the one asked for, and ``used_seed``.

        Returns:
            ``did``: "nothing", "measured" or "made"; ``why``: where a finished row was done again; ``warnings``: lines.
        """
        case, seed, used = self._cases[content["case"]], int(content["seed"]), int(content["used_seed"])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            note = self._do(case, seed, used)
        lines = [" ".join(str(each.message).split()) for each in caught if issubclass(each.category, UserWarning)]
        return {**note, "warnings": list(dict.fromkeys([*note.get("warnings", []), *lines]))}

    def _do(self, case: Case, seed: int, used: int) -> dict[str, Any]:
        work = work_on(
            case,
            seed,
            used,
            self._candidate,
            self._folder,
            digest=self._digest,
            metrics=self._metrics,
            tools=self._tools,
        )
        if work.what == "nothing":
            return {"did": "nothing"}
        if work.what == "make":
            self._make(case, used, work)
        warned = self._measure(case, seed, used, work)
        return {"did": "made" if work.what == "make" else "measured", "why": work.why, "warnings": warned}

    def _make(self, case: Case, seed: int, work: Work) -> None:
        model = self._model
        if model is None:
            raise MotionloomError(f"{work.video}: is gone since this run began; run it once more")
        motion = case.read_motion()
        size, frames = fitting(model, self._candidate, motion)
        given = self._candidate.parameters
        prompt = (given.prompt or case.caption or None) if model.reads_text else None
        parameters = replace(
            given, seed=seed, prompt=prompt, size=size, resolution=None, num_frames=frames, fps=given.fps
        )
        shown = motion if self._candidate.guided else Tracks.empty(motion.num_frames, motion.size, motion.fps)
        last = case.last_frame if model.card.takes_last_image else None
        clip = model.run(
            os.fspath(case.first_frame) if model.takes_image else None,
            shown,
            parameters,
            last_image=None if last is None else os.fspath(last),
            motion_name=case.tracks_file.name,
            command=self._command or ("motionloom.evaluate.bench",),
            beside=work.video.parent,
        )[0]
        inside = {**clip.provenance, "benchmark": {"case": case.id, "made_from": work.made_from}}
        Clip(clip.frames, clip.fps, inside).save(work.video, quality=QUALITY)

    def _measure(self, case: Case, seed: int, used: int, work: Work) -> list[str]:
        foreign = self._candidate.videos is not None
        evidence = Evidence(sample_of(case, work.video, seed=used, foreign=foreign), self._measuring)
        row, broken = measured(
            evidence,
            self._folder.root,
            row_key(case.id, seed),
            work.metrics,
            before=work.kept,
            references=self._reference_features,
        )
        facts = {
            **row.facts,
            "made_from": work.made_from,
            "measured_against": work.measured_against,
            "video_sha256": file_digest(work.video),
            "digest": self._digest or None,
            "base_seed": seed,
            "size": list(evidence.frames.size),
            "num_frames": evidence.frames.num_frames,
            "fps": evidence.frames.fps,
            "content": case.content,
            "version": __version__,
        }
        row = replace(
            row,
            video=_named(work.video, self._folder.root),
            reference=None if case.video is None else _named(case.video, self._folder.root),
            seconds=None if foreign else read_provenance(work.video).get("seconds"),
            facts=facts,
        )
        self._folder.write_row(row, seed)
        return broken

    def _load(self, device: str | None) -> Model:
        from motionloom.models.loading import load

        given = self._candidate.parameters
        return load(self._candidate.model, device=device, **given.for_loading())

    def _record(self, digest: str, signature: str | None, device: str | None) -> None:
        assert self._model is not None
        record = {
            **self._candidate.record(),
            "settings": self._candidate.settings(),
            "name": self._model.name,
            "method": self._model.method if self._candidate.guided else "unguided",
            "title": self._model.card.title,
            "licence": self._model.card.licence,
            "digest": digest,
            "weights_signature": signature,
            "device": _device_name(device),
            "notes": list(self._model.notes),
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        write_json(self._folder.record, record)


def sample_of(case: Case, video: Path, *, seed: int | None, foreign: bool = False) -> Sample:
    """What a video is measured against.

    One that was made from the prompt alone, as its record says, shows another scene: it begins with no photograph, and
    the thing that is marked on the case's first frame is not there.

    Args:
        foreign: somebody else's video, without a record.
    """
    sample = case.sample(os.fspath(video), seed=seed, by_frame=foreign)
    if foreign or read_provenance(video).get("image", {}) is not None:
        return sample
    return replace(sample, first_image=None, last_image=None, box=None)


def fitting(model: Model, candidate: Candidate, motion: Tracks) -> tuple[tuple[int, int], int]:
    """(height, width) and frames of a case's video: the first frame's own size and as many frames as its tracks have,
    as the published program runs its benchmark; for a model made for others, the nearest it can do.

    Args:
        motion: of the case, on the canvas of its first frame.
    """
    given, card = candidate.parameters, model.card
    size = given.size
    if size is None and given.resolution is not None:
        size = model.size_at(motion.size, RESOLUTIONS[given.resolution])
    if size is None:
        size = _own_size(model, motion.size)
    frames = given.num_frames
    if frames is None:
        frames = motion.num_frames
        longest = card.num_frames
        if longest is not None and frames > longest:
            frames = longest
        try:
            frames = model.legal_frames(frames)
        except InputError:
            frames = model.legal_frames(longest or frames)
    return size, frames


def _own_size(model: Model, own: tuple[int, int]) -> tuple[int, int]:
    native = model.card.native_size
    if native is not None:
        areas = [height * width for height, width in (native, *model.card.sizes)]
        if min(abs(math.log(own[0] * own[1] / area)) for area in areas) > math.log(_SAME_AREA):
            return model.default_size(own)
    for choose in (lambda: own, lambda: model.size_at(own, own[0] * own[1])):
        try:
            return model.legal_size(choose())
        except InputError:
            continue
    return model.default_size(own)


def _named(path: Path, folder: Path) -> str:
    """A file as seen from a folder, so that both may be moved together."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:  # another drive
        return os.fspath(path.resolve())


def _device_name(device: str | None) -> str:
    where = best_device(device)
    if not where.startswith("cuda"):
        return platform.processor() or platform.machine()
    import torch

    return torch.cuda.get_device_name(where)
