"""Starting the command line in several processes, and what each of them needs to know of the others.

`launch` does what ``torchrun --standalone`` does, through the same torch.distributed.elastic: one process per GPU, all
with the same arguments. The processes call `worker`. When one fails, it says why in a file and ends at once; the others
are ended, and `launch` raises that first error, so that the user reads one message. Only process 0 writes to the
terminal and to files (`rank`). ``torchrun --nproc-per-node N -m motionloom ...`` works as well.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from motionloom import errors
from motionloom.errors import InputError, MotionloomError

Value = TypeVar("Value")

TIMEOUT = timedelta(minutes=15)
"""How long a process waits for another one. They differ by what they load and decode; a dead one is noticed sooner."""

_REPORTS = "MOTIONLOOM_WORKER_REPORTS"
_GRACE_SECONDS = "10"
_SIGNALS = (signal.SIGINT, signal.SIGTERM) + ((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ())


def launch(
    n: int, arguments: Sequence[str], *, device: str | None = None, program: Sequence[str] = ("-m", "motionloom")
) -> int:
    """Run the command line in ``n`` processes, one per GPU, and wait for them.

    Args:
        n: processes.
        arguments: of the command line, for every process alike.
        device: as the user gave it; "cpu" or no GPU: all processes share the processor, which is for testing.
        program: what Python is to run.

    Returns:
        0. What goes wrong is raised, as the class and with the message the first failing process had.

    Raises:
        InputError: more processes than GPUs, or a device that names one of them.
        MotionloomError: a process failed.
        KeyboardInterrupt: Ctrl-C, or a signal that asked to end; the processes got it too.
    """
    _check(n, device)
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with tempfile.TemporaryDirectory(prefix="motionloom-gpus-") as folder:
        logs = DefaultLogsSpecs(log_dir=os.path.join(folder, "logs"), redirects=dict.fromkeys(range(1, n), Std.ALL))
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=n,
            logs_specs=logs,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            local_addr="localhost",  # the machine's own name does not resolve everywhere
        )
        with _environment(_variables(n, folder)), _signals_kept(), _quiet():
            try:
                elastic_launch(config, sys.executable)(*program, *arguments)
            except SignalException as stop:
                raise KeyboardInterrupt from stop
            except ChildFailedError as failure:
                _raise_first(Path(folder), failure, n)
    return 0


def is_worker() -> bool:
    """Whether this process is one of several that `launch` or torchrun started."""
    return "LOCAL_RANK" in os.environ and world() > 1


def rank() -> int:
    """Which of the processes this is; 0 writes the files, and is the only one where nothing was launched."""
    return int(os.environ.get("RANK", 0)) if is_worker() else 0


def world() -> int:
    """How many processes there are; 1 where nothing was launched."""
    return int(os.environ.get("WORLD_SIZE", 1)) if "LOCAL_RANK" in os.environ else 1


def device(wanted: str | None = None) -> str | None:
    """The device of this process: its own GPU, or the processor; where nothing was launched, what was wanted.

    Raises:
        InputError: a numbered device, which cannot be that of all processes.
    """
    if not is_worker():
        return wanted
    import torch

    _refuse_numbered(wanted)
    if wanted == "cpu" or not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{os.environ['LOCAL_RANK']}"


@contextmanager
def worker(wanted: str | None = None) -> Iterator[None]:
    """What a process does together with the others; where nothing was launched, just what is inside.

    Joins the processes (NCCL on GPUs, gloo on processors), silences those beyond the first, and ends this one when the
    inside fails: under `launch` with a report for it, under torchrun with the error itself.

    Args:
        wanted: the device the user asked for; see `device`.
    """
    if not is_worker():
        yield
        return
    reports = os.environ.get(_REPORTS)
    if reports is not None:
        _end_with_parent()
    try:
        with _silent(rank() > 0):
            _join(device(wanted) or "cpu")
            yield
            _leave()
    except BaseException as error:
        if reports is None or isinstance(error, SystemExit) or hasattr(error, "exit_code"):
            raise
        _end(Path(reports), error)


def agreed(value: Value) -> Value:
    """Process 0's value on all processes, for what is drawn at random; where nothing was launched, the value itself.

    The value has to be one that JSON keeps: a number, a text, a list, None.
    """
    import torch
    import torch.distributed as dist

    if not dist.is_available() or not dist.is_initialized():
        return value
    data = json.dumps(value).encode()
    where = "cuda" if dist.get_backend() == "nccl" else "cpu"
    length = torch.tensor([len(data)], device=where)
    dist.broadcast(length, src=0)
    content = torch.zeros(int(length), dtype=torch.uint8, device=where)
    if dist.get_rank() == 0:
        content.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
    dist.broadcast(content, src=0)
    return json.loads(bytes(content.cpu().tolist()))


def _check(n: int, device: str | None) -> None:
    if n < 2:
        raise InputError(f"gpus: found {n}, expected at least 2 to share a video")
    if is_worker():
        raise MotionloomError("gpus: this process is one of several already; start the command without -g inside")
    _refuse_numbered(device)
    import torch

    present = 0 if device == "cpu" else torch.cuda.device_count()
    if device is not None and device.startswith("cuda") and not present:
        raise InputError(f"gpus: {n} were asked for, but this machine has none that torch {torch.__version__} can use")
    if present == 0:
        print(
            f"motionloom: no GPU in use, {n} processes share the processor; that is for testing, it saves no time",
            file=sys.stderr,
        )
    elif n > present:
        hidden = " (CUDA_VISIBLE_DEVICES is set)" if "CUDA_VISIBLE_DEVICES" in os.environ else ""
        raise InputError(f"gpus: {n} were asked for, this machine has {present}{hidden}; use -g {present} or fewer")


def _refuse_numbered(device: str | None) -> None:
    if device is not None and device not in ("cpu", "cuda"):
        raise InputError(
            f"device: found {device!r}, with several GPUs expected cuda or cpu; every process takes its own, and "
            "CUDA_VISIBLE_DEVICES says which there are"
        )


def _variables(n: int, folder: str) -> dict[str, str]:
    threads = max(1, (os.cpu_count() or 1) // n)
    found = {
        _REPORTS: folder,
        # Each would otherwise start as many threads as there are cores.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": os.environ.get("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", _GRACE_SECONDS),
    }
    if sys.platform == "linux":
        # All processes are on this machine, whatever its name resolves to.
        found["GLOO_SOCKET_IFNAME"] = os.environ.get("GLOO_SOCKET_IFNAME", "lo")
    return found


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _signals_kept() -> Iterator[None]:
    """torch.distributed.elastic puts its own handlers in place and leaves them there."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what the launcher of torch logs about processes that fail: it is said once, in our words."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _raise_first(folder: Path, failure: Any, n: int) -> NoReturn:
    """The error of the process that failed first, as the class it had there."""
    for number, what in sorted(failure.failures.items()):
        # Such a process could not say why, and what the others report is that it is gone.
        if what.exitcode < 0 and -what.exitcode not in _SIGNALS:
            name = signal.Signals(-what.exitcode).name
            memory = ", as the system does when memory runs out" if name == "SIGKILL" else ""
            raise MotionloomError(f"process {number + 1} of {n} was ended by {name}{memory}; the others were stopped")
    first = _read_report(folder / "first.json")
    if first is None:
        # The command itself decided to end so, and has said why.
        _, what = failure.get_first_failure()
        raise SystemExit(what.exitcode if what.exitcode > 0 else 1)
    if first["traceback"] and os.environ.get("MOTIONLOOM_DEBUG", "") not in ("", "0"):
        print(first["traceback"], file=sys.stderr)
    if first["kind"] is None:
        raise MotionloomError(f"process {first['rank'] + 1} of {n}: {first['message']}")
    # About an argument or a file, which all processes share; which of them was first to find out says nothing.
    raise getattr(errors, first["kind"], MotionloomError)(first["message"])


def _read_report(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _join(where: str) -> None:
    import torch
    import torch.distributed as dist

    on_gpu = where.startswith("cuda")
    if on_gpu:
        torch.cuda.set_device(where)
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=TIMEOUT)


def _leave() -> None:
    import torch.distributed as dist

    dist.destroy_process_group()


def _end(reports: Path, error: BaseException) -> NoReturn:
    """Report the error if no other process did before, and end now: leaving the group could wait for the others."""
    stopped = isinstance(error, (KeyboardInterrupt, errors.Cancelled))
    if not stopped:
        known = isinstance(error, MotionloomError)
        report = {
            "rank": rank(),
            "kind": type(error).__name__ if known else None,
            "message": str(error) if known else f"{type(error).__name__}: {error} (MOTIONLOOM_DEBUG=1 shows where)",
            "traceback": "".join(traceback.format_exception(error)),
        }
        with suppress(FileExistsError), open(reports / "first.json", "x", encoding="utf-8") as file:
            json.dump(report, file)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(130 if stopped else 1)


@contextmanager
def _silent(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def _end_with_parent() -> None:
    """End when the launcher is gone, killed without a chance to tell: the GPU would stay taken."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(2.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="motionloom-parent").start()
