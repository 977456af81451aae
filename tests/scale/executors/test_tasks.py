import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionloom.errors import CheckpointError, InputError, MotionloomError
from motionloom.scale.executors import InlineExecutor, Task, WorkerSpec, executor, shard
from motionloom.scale.executors.devices import places
from motionloom.scale.executors.tasks import Ledger


@given(st.integers(0, 40), st.integers(1, 9))
def test_the_parts_of_a_list_are_the_whole_of_it_and_share_nothing(count, parts):
    found = [shard(range(count), f"{part}/{parts}") for part in range(1, parts + 1)]
    assert sorted(item for part in found for item in part) == list(range(count))
    assert max(map(len, found)) - min(map(len, found)) <= 1
    assert all(part == sorted(part) for part in found)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3", ""])
def test_parts_that_do_not_exist_are_refused(text):
    with pytest.raises(InputError, match="shard: "):
        shard([1, 2], text)
    assert shard([1, 2], None) == [1, 2]


def test_a_lost_task_is_tried_twice_more_and_then_left_out():
    ledger = Ledger([Task("a"), Task("b")])
    for _ in range(2):
        task = ledger.take()
        assert ledger.lost(task, "gone", 3) is None
        assert [each.name for each in ledger.waiting] == ["a", "b"], "it comes first again"
    outcome = ledger.lost(ledger.take(), "gone", 3)
    assert outcome is not None
    assert (outcome.status, outcome.attempts, outcome.worker) == ("failed", 3, 3)
    assert outcome.error == "gone; 3 workers in a row ended at this task, so it is left out"


def test_gpus_are_given_out_in_turn_and_threads_divided(monkeypatch):
    monkeypatch.setattr("motionloom.scale.executors.devices.cores", lambda: 16)
    assert [place.device for place in places(3, None, gpus=2)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert [place.device for place in places(None, "cuda", gpus=2)] == ["cuda:0", "cuda:1"]
    assert [place.device for place in places(2, "cuda:1", gpus=2)] == ["cuda:1", "cuda:1"]
    assert [(place.device, place.threads) for place in places(3, "cpu")] == [("cpu", 5)] * 3
    assert [place.threads for place in places(None, None, gpus=0)] == [4] * 4
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    environment = places(2, "cpu")[0].environment()
    assert (environment["OMP_NUM_THREADS"], environment["OPENCV_FOR_THREADS_NUM"]) == ("1", "8"), "the user's own wins"


def test_a_worker_is_named_and_its_arguments_are_json():
    with pytest.raises(InputError, match=r"expected package\.module:name"):
        WorkerSpec("no_colon")
    with pytest.raises(InputError, match="expected JSON values"):
        WorkerSpec("module:Name", {"path": object()})
    with pytest.raises(InputError, match="two are called 'a'"):
        Ledger([Task("a"), Task("a")])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "dask"}, "found 'dask', expected one of inline, process, ray"),
        ({"kind": "process", "workers": 0}, "found 0, expected at least 1"),
        ({"kind": "inline", "workers": 2}, "found 2 for inline"),
        ({"kind": "process", "address": "auto"}, "address: is that of a Ray cluster"),
        ({"kind": "process", "time_limit": 0}, "time_limit: found 0, expected seconds above zero"),
        ({"kind": "inline", "time_limit": 5}, "time_limit: inline cannot end a task"),
    ],
)
def test_executors_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        executor(**arguments)


def test_inline_reports_what_became_of_each(writing):
    found = writing.run(
        InlineExecutor(device="cpu"), {"a": None, "b": "refuse", "c": "break", "d": "unanswerable", "e": None}
    )
    assert [outcome.status for outcome in found.values()] == ["done", "failed", "failed", "failed", "done"]
    assert found["a"].note["device"] == "cpu"
    assert (found["b"].error, found["b"].kind, found["b"].where) == (
        "b: found nonsense, expected sense",
        "InputError",
        None,
    )
    assert (found["c"].error, found["c"].kind) == ("KeyError: 'lost'", "KeyError")
    assert found["c"].where is not None
    assert found["c"].where.startswith("working.py:")
    assert "not JSON serializable" in found["d"].error
    assert writing.workers() == 1


def test_inline_raises_what_the_factory_raised(writing):
    with pytest.raises(CheckpointError, match="mystery"):
        writing.run(InlineExecutor(), {"a": None}, fail_to_build="ours")
    assert writing.run(InlineExecutor(), {}, fail_to_build="ours") == {}, "no task, no worker"
    with pytest.raises(MotionloomError):
        executor("inline", workers=3)
