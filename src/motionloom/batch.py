"""Batches: many jobs, one after another, into one folder.

    OUT/images_tracks/NAME.png     the photograph (without one: the first frame) with the motion drawn on it, and the
                                   motion file beside it
    OUT/videos/NAME.mp4            the clips
    OUT/overlays/NAME.mp4          the clips with the motion drawn on them
    OUT/results.jsonl              one line per item: status, files, seed, seconds, error

A failed item does not stop the others. A clip whose provenance shows the same inputs is not made again.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionloom.batch_file import Item
from motionloom.errors import Cancelled, FileFormatError, InputError, MotionloomError
from motionloom.jobs import Job, Parameters, Progress, blank_size, compiled, read_motion
from motionloom.media import read_image, read_provenance, write_image
from motionloom.media.files import replacing

if TYPE_CHECKING:
    from motionloom.models.model import Model


@dataclass(frozen=True)
class Result:
    """What became of an item. ``status`` is "done", "skipped" (was done before) or "failed"."""

    name: str
    status: str
    video: Path | None = None
    overlay: Path | None = None
    image_tracks: Path | None = None
    seed: int | None = None
    seconds: float | None = None
    error: str | None = None

    def line(self, folder: Path) -> str:
        """One line of JSON; files are named from ``folder``."""
        facts = {
            key: value.relative_to(folder).as_posix() if isinstance(value, Path) else value
            for key, value in self.__dict__.items()
            if value is not None
        }
        return json.dumps(facts, ensure_ascii=False)


@dataclass
class Batch:
    """How the items of a batch are run.

    Args:
        folder: where everything is written.
        model, parameters: used where an item does not say otherwise.
        device: where to run; None means automatic.
        overlays: write the overlays too.
        overwrite: make every item again, also finished ones, and replace files of other origin.
        command: the command line, for the record.
    """

    folder: Path
    model: str
    parameters: Parameters = field(default_factory=Parameters)
    device: str | None = None
    overlays: bool = True
    overwrite: bool = False
    command: Sequence[str] = ()
    _loaded: tuple[Any, Model] | None = field(default=None, init=False, repr=False)

    def run(
        self,
        items: Sequence[Item],
        *,
        on_item: Callable[[int, Item], None] | None = None,
        on_progress: Progress | None = None,
        on_result: Callable[[Result], None] | None = None,
    ) -> list[Result]:
        """Run every item; OUT/results.jsonl is written anew after each one.

        Args:
            on_item, on_progress, on_result: called as items begin, advance and end.

        Raises:
            Cancelled, KeyboardInterrupt: stopped; the results so far are written, nothing is half-written.
        """
        results: list[Result] = []
        earlier = self._earlier_results()
        for number, item in enumerate(items):
            if on_item:
                on_item(number, item)
            started = time.perf_counter()
            try:
                result = self.run_item(item, on_progress)
            except Cancelled:
                raise
            except Exception as error:
                result = Result(item.name, "failed", error=_one_line(error))
            results.append(replace(result, seconds=round(time.perf_counter() - started, 3)))
            # Items not reached yet keep what an earlier run said about them.
            lines = [result.line(self.folder) for result in results]
            lines += [earlier[later.name] for later in items[number + 1 :] if later.name in earlier]
            with replacing(self.folder / "results.jsonl") as temporary:
                temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            if on_result:
                on_result(results[-1])
        return results

    def run_item(self, item: Item, on_progress: Progress | None = None) -> Result:
        """Make one item's files, or find that they are there and made from the same inputs."""
        video = self.folder / "videos" / f"{item.name}.mp4"
        overlay = self.folder / "overlays" / f"{item.name}.mp4" if self.overlays else None
        still = self.folder / "images_tracks" / f"{item.name}.png"
        recorded = _recorded(video)
        job = self._job(item)
        model = self._model(job)
        # A random seed is drawn once: an item that is finished keeps the one it was made with.
        kept = recorded.get("parameters", {}).get("seed")
        job = job.settled(model, seed=kept if isinstance(kept, int) and kept >= 0 else None)
        files: dict[str, Any] = {"video": video, "overlay": overlay, "image_tracks": still}
        files["seed"] = job.parameters.seed
        if not self.overwrite and video.exists():
            if not recorded:
                raise InputError(f"{video}: exists and motionloom did not make it; move it away or use --overwrite")
            same = recorded.get("fingerprint") == job.record(model.digest)["fingerprint"]
            if same and still.exists() and (overlay is None or overlay.exists()):
                return Result(item.name, "skipped", **files)
        clip = job.run(model=model, on_progress=on_progress, command=self.command, beside=video.parent)
        self._write(job, clip, video, overlay, still)
        return Result(item.name, "done", **files)

    def _job(self, item: Item) -> Job:
        model, parameters = item.model or self.model, replace(self.parameters, **item.options)
        return Job(
            image=item.image,
            motion=read_motion(item.motion, item.image or blank_size(model, parameters)),
            model=model,
            parameters=parameters,
            last_image=item.last_image,
            motion_file=item.motion,
            device=self.device,
        )

    def _model(self, job: Job) -> Model:
        key = (job.model, job.parameters.for_loading())
        if self._loaded is None or self._loaded[0] != key:
            # The old one goes first: two large models would not fit into memory together.
            self._loaded = None
            self._loaded = (key, job.load_model())
        return self._loaded[1]

    def _write(self, job: Job, clip: Any, video: Path, overlay: Path | None, still: Path) -> None:
        from motionloom.draw import draw, draw_paths

        tracks = compiled(job.motion, clip)
        image = clip.frames[0] if job.image is None else read_image(job.image)
        write_image(still, draw_paths(image, tracks.resize((image.shape[0], image.shape[1]))))
        if job.motion_file:
            ending = job.motion_file.name.removeprefix(job.motion_file.name.split(".")[0])
            with replacing(still.with_name(still.stem + ending)) as temporary:
                shutil.copyfile(job.motion_file, temporary)
        if overlay:
            draw(clip, tracks).save(overlay)
        # Last, since a finished video is what says that an item is done.
        clip.save(video)

    def _earlier_results(self) -> dict[str, str]:
        file = self.folder / "results.jsonl"
        found: dict[str, str] = {}
        if file.is_file():
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    found[json.loads(line)["name"]] = line
                except (ValueError, KeyError, TypeError):
                    continue
        return found


def _recorded(video: Path) -> dict[str, Any]:
    if not video.exists():
        return {}
    try:
        return read_provenance(video)
    except FileFormatError:
        return {}


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, MotionloomError) else f"{type(error).__name__}: {text}".rstrip(": ")
