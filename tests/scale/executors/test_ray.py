import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from motionloom.errors import CheckpointError, InputError, MissingDependencyError, MotionloomError
from motionloom.scale.executors import Task, WorkerSpec, executor
from motionloom.scale.executors import ray as module
from motionloom.scale.executors.tasks import Ledger


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'motionloom\[ray\]', or use process"):
        executor("ray", workers=2)


class _Cluster:
    def __init__(self, **resources):
        self.resources = resources

    def cluster_resources(self):
        return self.resources


def test_actors_take_a_gpu_each_and_leave_a_core_free(monkeypatch):
    monkeypatch.setattr(module, "_ray", lambda: None)
    on_cpus, on_gpus = _Cluster(CPU=8.0), _Cluster(CPU=32.0, GPU=4.0)
    assert module.RayExecutor()._count(on_cpus) == 7
    assert module.RayExecutor()._count(on_gpus) == 4
    assert module.RayExecutor(device="cpu")._count(on_gpus) == 31
    options = module.RayExecutor()._options(on_gpus)
    assert (options["num_gpus"], options["num_cpus"]) == (1, 1)
    assert options["runtime_env"]["env_vars"]["OMP_NUM_THREADS"] == "8"
    assert module.RayExecutor(2)._options(on_gpus)["num_gpus"] == 1
    assert module.RayExecutor(6)._options(on_gpus)["num_gpus"] == 0.5, "two on a GPU"
    assert module.RayExecutor()._options(on_cpus)["num_gpus"] == 0
    with pytest.raises(InputError, match="the Ray cluster has no GPU"):
        module.RayExecutor(device="cuda")._options(on_cpus)
    with pytest.raises(InputError, match="found 'cuda:1', with ray expected cuda or cpu"):
        module.RayExecutor(device="cuda:1")


def test_a_cluster_without_room_is_said_to_have_none(monkeypatch):
    class Full:
        def remote(self, *_, **__):
            return self

        options = kill = remote

        def wait(self, references, **_):
            return [], references

        def available_resources(self):
            return {"CPU": 0.0}

        @property
        def build(self):
            return self

    full = Full()
    monkeypatch.setattr(module, "_WAIT_SECONDS", 2.0)
    run = module._Run(full, Ledger([Task("a")]), WorkerSpec("working:Writer"), lambda outcome: None)
    run.start(0, {"num_cpus": 1, "num_gpus": 0})
    with pytest.raises(MotionloomError, match="each takes 1 CPU and 0 GPU, free are 0 and 0; end what else runs"):
        run.finish()


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


@pytest.mark.slow
def test_two_actors_one_of_them_killed(writing, cluster):
    whats = {"a": "slow", "b": "kill once", "c": "refuse", "d": "break", "e": None, "f": "kill always", "g": None}
    found = writing.run(executor("ray", workers=2), whats)
    assert {name: outcome.status for name, outcome in found.items()} == {
        "a": "done", "b": "done", "c": "failed", "d": "failed", "e": "done", "f": "failed", "g": "done",
    }  # fmt: skip
    assert (found["b"].attempts, found["f"].attempts, writing.attempts("f")) == (2, 3, 3)
    assert (found["c"].kind, found["c"].error) == ("InputError", "c: found nonsense, expected sense")
    assert "a worker was lost (" in found["f"].error
    assert found["a"].note["device"] == "cpu"
    assert found["a"].note["threads"] == "1"


@pytest.mark.slow
def test_an_actor_that_hangs_is_ended_and_its_task_tried_again(writing, cluster):
    found = writing.run(executor("ray", workers=1, time_limit=2.0), {"a": "hang once", "b": None, "c": "hang always"})
    assert {name: (outcome.status, outcome.attempts) for name, outcome in found.items()} == {
        "a": ("done", 2), "b": ("done", 1), "c": ("failed", 3),
    }  # fmt: skip
    assert found["c"].error.startswith("a worker was ended because its task took longer than 2 s; 3 workers in a row")


@pytest.mark.slow
def test_an_actor_that_cannot_be_built_is_one_error(writing, cluster):
    with pytest.raises(CheckpointError, match=r"^no such model: mystery$"):
        writing.run(executor("ray", workers=1), {"a": None, "b": None}, fail_to_build="ours")
    assert writing.workers() == 1


@pytest.mark.slow
def test_killing_the_driver_ends_the_actors(tmp_path):
    pytest.importorskip("ray")
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from motionloom.scale.executors import Task, WorkerSpec, executor\n"
        "tasks = [Task(f't{i}', {'name': f't{i}', 'seconds': 3 * (i > 1)}) for i in range(6)]\n"
        "executor('ray', workers=2).run(tasks, WorkerSpec('working:Writer', {'folder': sys.argv[1]}),\n"
        "    on_done=lambda outcome: print(outcome.task.name, outcome.status, flush=True))\n"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    assert driver.stdout.readline().split()[1] == "done"
    driver.send_signal(signal.SIGKILL)
    driver.wait(timeout=30)
    workers = [int(path.name.removeprefix("built-")) for path in tmp_path.glob("built-*")]
    deadline = time.monotonic() + 30
    while any(map(_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert workers
    assert not any(map(_alive, workers))
    assert len(list(tmp_path.glob("t*.txt"))) < 6


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
