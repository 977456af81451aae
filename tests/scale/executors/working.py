"""Workers for the tests; processes import them by name. Also a program that drives some of them.

python working.py FOLDER COUNT SECONDS [WHAT]      COUNT tasks of SECONDS each on two processes
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path

from motionloom.errors import CheckpointError, InputError
from motionloom.media.files import replacing


class Writer:
    """Writes a file per task, and one line per attempt and per worker built."""

    def __init__(self, *, device, folder, fail_to_build=None, die_on_rebuild=False):
        self.folder, self.device = Path(folder), device
        builds = len(list(self.folder.glob("built-*")))
        (self.folder / f"built-{os.getpid()}").write_text(str(device))
        if fail_to_build == "ours":
            raise CheckpointError("no such model: mystery")
        if fail_to_build == "foreign":
            raise ZeroDivisionError("in the factory")
        if fail_to_build == "die" or (die_on_rebuild and builds):
            os.kill(os.getpid(), signal.SIGKILL)

    def run(self, content):
        name = content["name"]
        with open(self.folder / f"attempts-{name}", "a") as file:
            file.write(f"{os.getpid()}\n")
        attempts = len((self.folder / f"attempts-{name}").read_text().splitlines())
        what = content.get("what")
        if what == "kill once" and attempts == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "kill always":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "crash":
            import ctypes

            ctypes.string_at(0)
        if what == "hang always" or (what == "hang once" and attempts == 1):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            threading.Event().wait()
        if what == "refuse":
            raise InputError(f"{name}: found nonsense, expected sense")
        if what == "break":
            raise KeyError("lost")
        if what == "print":
            print("a library that prints")
            warnings.warn("a library that warns", stacklevel=1)
        if what == "slow":
            time.sleep(0.8)
        if what == "unanswerable":
            return {1, 2}
        with replacing(self.folder / f"{name}.txt") as temporary:
            temporary.write_text("half")
            time.sleep(content.get("seconds", 0))
            temporary.write_text("whole")
        return {"threads": os.environ.get("OMP_NUM_THREADS"), "device": self.device, "pid": os.getpid()}


def drive(folder: str, count: int, seconds: float, what: str = "") -> None:
    from motionloom.scale.executors import Task, WorkerSpec, executor

    tasks = [Task(f"t{i}", {"name": f"t{i}", "seconds": seconds, "what": what}) for i in range(count)]
    unfinished = [task for task in tasks if not (Path(folder) / f"{task.name}.txt").exists()]
    executor("process", workers=2, device="cpu").run(
        unfinished, WorkerSpec("working:Writer", {"folder": folder}), on_done=lambda o: print(o.task.name, flush=True)
    )


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        drive(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:])
    except KeyboardInterrupt:
        print("stopped", flush=True)
