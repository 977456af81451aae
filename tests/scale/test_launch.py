import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from motionloom.errors import CheckpointError, InputError, MotionloomError
from motionloom.scale import launch as module
from motionloom.scale.launch import launch

PROGRAM = [str(Path(__file__).with_name("programs.py"))]


@pytest.mark.slow
def test_the_first_process_speaks_and_random_choices_agree(capfd):
    assert launch(2, ["agree"], program=PROGRAM) == 0
    found = capfd.readouterr()
    assert found.out.splitlines() == ["hello from 0 of 2 on cpu", "{'seed': 0, 'names': ['ä']} 1"]
    assert "2 processes share the processor; that is for testing" in found.err


@pytest.mark.slow
def test_a_process_that_fails_ends_all_with_its_error(capfd):
    started = time.monotonic()
    with pytest.raises(CheckpointError, match=r"^the file of the last one is broken$"):
        launch(2, ["raise"], program=PROGRAM)
    assert time.monotonic() - started < 55, "the others would have worked for a minute"
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
def test_a_process_that_is_killed_is_named(capfd):
    with pytest.raises(MotionloomError, match=r"^process 2 of 2 was ended by SIGKILL, .* memory runs out"):
        launch(2, ["die"], program=PROGRAM)


@pytest.mark.slow
def test_an_error_of_all_is_said_once(capfd, monkeypatch):
    with pytest.raises(MotionloomError, match=r"^process [12] of 2: ZeroDivisionError: everywhere \(MOTIONLOOM_"):
        launch(2, ["all raise"], program=PROGRAM)
    assert capfd.readouterr().err.count("everywhere") == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_the_launcher_stops_all(number, tmp_path):
    code = (
        "import os, sys, signal\n"
        "from motionloom.scale.launch import launch\n"
        "before = signal.getsignal(signal.SIGINT)\n"
        "try: launch(2, ['work'], program=[sys.argv[1]])\n"
        "except KeyboardInterrupt: print('stopped', signal.getsignal(signal.SIGINT) is before)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, *PROGRAM], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "hello from 0 of 2 on cpu\n"
    process.send_signal(number)
    assert process.communicate(timeout=60)[0] == "stopped True\n"


@pytest.mark.parametrize(
    ("n", "device", "message"),
    [
        (1, None, "found 1, expected at least 2"),
        (2, "cuda:1", "every process takes its own"),
        (2, "mps", "expected cuda or cpu"),
        (3, None, "3 were asked for, this machine has 2; use -g 2 or fewer"),
        (3, "cuda", "3 were asked for, this machine has 2"),
    ],
)
def test_what_cannot_be_launched_is_refused(n, device, message, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match=message):
        launch(n, [], device=device)


def test_gpus_that_are_not_there_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InputError, match="2 were asked for, but this machine has none that torch"):
        launch(2, [], device="cuda")


def test_without_launch_a_process_is_the_only_one(monkeypatch):
    for name in ("LOCAL_RANK", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert (module.is_worker(), module.rank(), module.world()) == (False, 0, 1)
    assert module.device("cuda:1") == "cuda:1"
    assert module.agreed(7) == 7
    with pytest.raises(ZeroDivisionError), module.worker():
        raise ZeroDivisionError


def test_a_process_of_several_takes_its_own_gpu(monkeypatch):
    for name, value in (("LOCAL_RANK", "1"), ("RANK", "1"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert (module.is_worker(), module.rank(), module.world()) == (True, 1, 2)
    assert (module.device(), module.device("cuda"), module.device("cpu")) == ("cuda:1", "cuda:1", "cpu")
    with pytest.raises(InputError, match="'cuda:0'"):
        module.device("cuda:0")
    with pytest.raises(MotionloomError, match="one of several already"):
        launch(2, [])
