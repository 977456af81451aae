"""What a job is made of, as it was when somebody asked for it: the photograph and the motion, in the job's folder.

jobs/<id>/   image.*   the photograph, as it was uploaded     motion.json   the motion     preview.webp
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionloom.media.files import replacing
from motionloom.studio.jobs.results import MOTION, image_in

if TYPE_CHECKING:
    from motionloom.tracks.motion import Motion

PREVIEW = "preview.webp"


class Snapshots:
    """Folders of jobs below ``data``, the studio's data folder."""

    def __init__(self, data: Path) -> None:
        self._folder = Path(data) / "jobs"
        self._folder.mkdir(parents=True, exist_ok=True)

    def write(self, jobs: Sequence[str], image: Path, motion: dict[str, Any]) -> None:
        """Keep a photograph and a motion document for some jobs: for all of them, or for none."""
        content = json.dumps(motion, allow_nan=False).encode()
        made: list[str] = []
        try:
            for index, job in enumerate(jobs):
                folder = self._folder / job
                folder.mkdir()
                made.append(job)
                if index == 0:
                    # A copy: the photograph may be removed with its project.
                    shutil.copyfile(image, folder / f"image{image.suffix}")
                    (folder / MOTION).write_bytes(content)
                else:
                    first = self._folder / jobs[0]
                    keep(image_in(first), folder)
                    keep(first / MOTION, folder)
        except BaseException:
            for job in made:
                self.remove(job)
            raise

    def image(self, job: str) -> Path:
        """The photograph."""
        return image_in(self._folder / job)

    def motion_path(self, job: str) -> Path:
        """The file of the motion."""
        return self._folder / job / MOTION

    def motion(self, job: str) -> Motion:
        """The motion."""
        return read_motion(self.motion_path(job))

    def preview_path(self, job: str) -> Path:
        """Where the newest frame of the run is, if there is one yet."""
        return self._folder / job / PREVIEW

    def write_preview(self, job: str, webp: bytes) -> None:
        """Put a frame in the place of the last one."""
        with replacing(self.preview_path(job)) as temporary:
            temporary.write_bytes(webp)

    def remove(self, job: str) -> None:
        """Remove all of a job, also where it is not complete."""
        shutil.rmtree(self._folder / job, ignore_errors=True)


def read_motion(path: Path) -> Motion:
    """The motion in a document that the studio wrote."""
    from motionloom.tracks.motion import Motion

    return Motion.parse(json.loads(path.read_text(encoding="utf-8")), source="motion")


def keep(file: Path, folder: Path) -> Path:
    """The same file in another folder, without a second copy of its bytes where the disk can do that."""
    target = folder / file.name
    with contextlib.suppress(OSError):
        os.link(file, target)
        return target
    shutil.copyfile(file, target)
    return target
