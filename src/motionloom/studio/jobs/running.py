"""Making the video of one job: its model, the run, and the result put together so that nobody sees half of it."""

from __future__ import annotations

import gc
import itertools
import logging
import secrets
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionloom.errors import Cancelled, MotionloomError
from motionloom.studio.jobs.database import DiskFull, date, is_disk_full, now
from motionloom.studio.jobs.reporting import Reporter
from motionloom.studio.jobs.results import MOTION, POSTER, VIDEO, ResultStore
from motionloom.studio.jobs.rows import Claim, LeaseLost
from motionloom.studio.jobs.snapshots import keep
from motionloom.studio.jobs.store import JobStore
from motionloom.studio.schemas import GenerationSettings, Job, Result

if TYPE_CHECKING:
    from motionloom.media import Clip
    from motionloom.models.model import Model
    from motionloom.models.parameters import Parameters

log = logging.getLogger("motionloom.studio")

DISK_FULL = "The disk with the studio's data is full; nothing of this video was kept. Free some space, then try again."


class ModelShelf:
    """The model of the last job, kept for the next one that wants the same.

    Args:
        device: as torch names it; "auto" for a GPU if there is one.
        source: what `motionloom.load` takes for the name of a model.
    """

    def __init__(self, device: str, source: Callable[[str], str]) -> None:
        self._device = None if device == "auto" else device
        self._source = source
        self._key: Any = None
        self._model: Model | None = None

    def get(self, name: str, parameters: Parameters, on_progress: Callable[[int, int], Any]) -> Model:
        """The model, loaded unless it is the one at hand."""
        key = (name, repr(sorted(parameters.for_loading().items())))
        if self._model is None or key != self._key:
            self.clear()
            from motionloom.models.loading import load

            loading = parameters.for_loading()
            self._model = load(self._source(name), device=self._device, on_progress=on_progress, **loading)
            self._key = key
        return self._model

    def clear(self) -> None:
        """Give its memory back, that of a GPU too: two models rarely fit."""
        self._model, self._key = None, None
        gc.collect()
        import sys

        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()


class Runner:
    """Makes videos in the data folder, which is the working folder: no other place is written into provenance.

    Attributes:
        is_broken: the last run left the device in a state in which nothing more will work in this process.
    """

    def __init__(self, store: JobStore, results: ResultStore, shelf: ModelShelf) -> None:
        self._store, self._snapshots, self._results, self._shelf = store, store.snapshots, results, shelf
        self.is_broken = False

    def run(self, claim: Claim) -> Result | None:
        """Make a job's video, unless it is there already; whatever happens, the queue knows. None without a result."""
        job = claim.job
        reporter = Reporter(self._store, claim)
        in_doubt = False
        with reporter.beating():
            try:
                if not self._results.has(job.id):
                    self._make(job, reporter)
                # From here on the result is there, and stays there whatever becomes of this process.
                self._insist(lambda: self._store.finish(claim, job.id))
                return self._results.get(job.id)
            except Cancelled:
                self._insist(lambda: self._store.cancelled(claim))
            except LeaseLost:
                log.warning("job %s was given to another worker", job.id)
            except Exception as error:
                reason = words(error, job)
                self._insist(lambda: self._store.fail(claim, reason))
                in_doubt = not isinstance(error, MotionloomError) and not is_disk_full(error)
                # What a kernel did wrong is answered to every later call too.
                self.is_broken = type(error).__name__ == "AcceleratorError" or "CUDA error" in str(error)
        if in_doubt:  # who knows in what state the model is; here the error, and what it held on to, is gone
            self._shelf.clear()
        return None

    def _make(self, job: Job, reporter: Reporter) -> None:
        reporter.enter("loading")
        parameters = parameters_of(job.settings, job.seed)
        with self._results.making(job.id) as part:
            image = keep(self._snapshots.image(job.id), part)
            keep(self._snapshots.motion_path(job.id), part)
            with _warnings_as(reporter):
                model = self._shelf.get(job.settings.model, parameters, reporter.loaded)
                reporter.note(list(model.notes))
                motion = self._snapshots.motion(job.id)
                if parameters.prompt is None and model.reads_text:
                    parameters = replace(parameters, prompt=motion.prompt)
                reporter.enter("sampling")
                # The motion's canvas has the photograph's shape, and that is all a text-to-video model wants of it.
                clip = model.run(
                    str(image) if model.takes_image else None,
                    motion,
                    parameters,
                    on_progress=reporter.sampled,
                    on_preview=reporter.previewed,
                    motion_name=MOTION,
                    command=("motionloom studio",),
                )[0]
            reporter.enter("saving")
            # The folder is known by another name in a moment; seen from the video the photograph lies beside it.
            if model.takes_image:
                clip.provenance["image"] |= {"path": image.name, "path_from_clip": image.name}
            clip.save(part / VIDEO)
            _save_poster(clip, part / POSTER)
            reporter.check()
            self._results.publish(part, _record(job, model, clip, (part / VIDEO).stat().st_size))

    def _insist(self, write: Callable[[], Any]) -> None:
        """Write to the queue, again and again while the disk is full or the database busy: what is not said there is
        done once more, and without room there is nothing better to do."""
        for attempt in itertools.count():
            try:
                write()
                return
            except LeaseLost:
                return
            except (DiskFull, sqlite3.OperationalError) as error:
                if attempt == 0:
                    log.warning("the queue cannot be written (%s); tried again every second", error)
                time.sleep(1.0)


def parameters_of(settings: GenerationSettings, seed: int, data: Path = Path()) -> Parameters:
    """What a run is told, from what a person chose.

    Args:
        data: the data folder, where the LoRAs are.

    Raises:
        InputError: choices that make no sense together.
        Refused: bad_request, a LoRA that is not there.
    """
    from motionloom.models.parameters import Parameters

    taken = GenerationSettings.model_fields.keys() & Parameters.__dataclass_fields__.keys() - {"size", "seed", "loras"}
    chosen: dict[str, Any] = {name: getattr(settings, name) for name in taken}
    files: dict[bool, list[str]] = {False: [], True: []}
    for lora in settings.loras:
        from motionloom.models.lora.spec import LoraSpec
        from motionloom.studio.loras import find_lora

        files[lora.few_step].append(str(LoraSpec(find_lora(data, lora.name), lora.strength)))
    return Parameters(
        **chosen,
        seed=seed,
        size=None if settings.size is None else (settings.size.height, settings.size.width),
        loras=tuple(files[False]),
        few_step_loras=tuple(files[True]),
    )


def words(error: BaseException, job: Job) -> str:
    """Why a job failed, for people; what nobody foresaw goes to the log with its trace."""
    if is_disk_full(error):
        return DISK_FULL
    if _is_out_of_memory(error):
        size = "" if job.settings.size is None else f" at {job.settings.size.width}x{job.settings.size.height}"
        return (
            f"Not enough memory for {job.settings.model}{size}. Choose a smaller size, fewer frames, or memory "
            "'low' or 'minimal', then try again."
        )
    if isinstance(error, MotionloomError):
        return str(error) or type(error).__name__
    reference = secrets.token_hex(4)
    log.error("job %s failed, error %s", job.id, reference, exc_info=error)
    return (
        f"The run failed unexpectedly ({type(error).__name__}); the details are in the worker's log, error {reference}."
    )


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


@contextmanager
def _warnings_as(reporter: Reporter) -> Iterator[None]:
    """What models warn about becomes notes of the job; what other packages tell developers does not."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        stock = warnings.showwarning

        def show(message: Any, category: type[Warning], filename: str, lineno: int, *rest: Any) -> None:
            if category is UserWarning and "motionloom" in filename:
                reporter.note([str(message)])
            else:
                stock(message, category, filename, lineno, *rest)

        warnings.showwarning = show
        yield


def _save_poster(clip: Clip, path: Path, side: int = 960) -> None:
    import cv2

    frame = clip.frames[0]
    scale = min(1.0, side / max(frame.shape[:2]))
    if scale < 1:
        frame = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, webp = cv2.imencode(".webp", frame[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 85])
    path.write_bytes(webp.tobytes())


def _record(job: Job, model: Model, clip: Clip, size: int) -> Result:
    return Result(
        id=job.id,
        job=job.id,
        project=job.project,
        project_name=job.project_name,
        created=date(now()) or "",
        model=job.settings.model,
        method=model.method,
        seed=job.seed,
        settings=job.settings,
        width=clip.size[1],
        height=clip.size[0],
        num_frames=clip.num_frames,
        fps=clip.fps,
        seconds=clip.provenance["seconds"],
        bytes=size,
        measured=False,
    )
