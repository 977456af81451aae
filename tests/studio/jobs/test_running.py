"""One job from its claim to its result, with the quick model: what is told meanwhile, and what can go wrong."""

import errno
import json
import sqlite3
import threading
import time
import warnings

import numpy as np
import pytest

from motionloom.errors import InputError
from motionloom.media import Clip, read_provenance
from motionloom.studio.jobs.database import DiskFull
from motionloom.studio.jobs.measuring_queue import ToMeasure
from motionloom.studio.jobs.reporting import Reporter
from motionloom.studio.jobs.results import ResultStore
from motionloom.studio.jobs.running import ModelShelf, Runner, parameters_of
from motionloom.studio.jobs.store import JobStore, NewJob, new_id
from motionloom.studio.schemas import GenerationSettings, LoraChoice, Size

MOTION = {
    "format": "motionloom.motion",
    "version": 1,
    "canvas": {"width": 64, "height": 48},
    "num_frames": 5,
    "fps": 8.0,
    "instructions": [{"id": "p", "kind": "path", "points": [[20, 20, 0], [40, 24, 4]], "curve": "polyline"}],
}


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def store(data):
    return JobStore(data / "studio.db")


@pytest.fixture
def results(data):
    return ResultStore(data)


@pytest.fixture
def shelf():
    return ModelShelf("cpu", lambda name: name)


@pytest.fixture
def runner(store, results, shelf):
    return Runner(store, results, shelf)


@pytest.fixture
def photograph(data):
    import cv2

    path = data / "photograph.png"
    noise = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(noise, (64, 48), interpolation=cv2.INTER_CUBIC))
    return path


@pytest.fixture
def add(store, photograph):
    def add(motion=MOTION, seed=0, **choices):
        job = new_id()
        store.snapshots.write([job], photograph, motion)
        settings = GenerationSettings(**{"model": "warp", **choices})
        store.add([NewJob(job, "a" * 16, "Cat & dog", seed, settings, (48, 64))])
        return job

    return add


class StubModel:
    """Four quick steps of whatever ``step`` does."""

    name, method, digest, notes, reads_text, loaded_with = "stub", "stub", "0" * 64, ("memory: none needed",), False, {}
    takes_image = True

    def __init__(self, step=lambda number: None):
        self.step = step

    def run(self, image, motion, parameters, *, on_progress, on_preview, **more):
        on_progress(0, 4)
        for number in range(1, 5):
            self.step(number)
            on_progress(number, 4)
            on_preview(np.full((6, 8, 3), 10 * number, np.uint8))
        frames = np.full((5, 48, 64, 3), parameters.seed, np.uint8)
        of = None if image is None else {"path": image, "sha256": "0"}
        return [Clip(frames, 8.0, {"image": of, "seconds": 1.5})]


def use(monkeypatch, shelf, model):
    monkeypatch.setattr(shelf, "get", lambda name, parameters, on_progress: model)


def left_over(data):
    return [path.name for path in (data / "results").iterdir() if path.name.startswith(".")]


def test_a_job_becomes_a_result(add, store, results, runner, data):
    job = add(seed=7, size=Size(width=64, height=48), num_frames=5)
    result = runner.run(store.claim("w"))
    done = store.get(job)
    assert (done.state, done.result, done.step, done.error) == ("done", job, done.total, None)
    assert result == results.get(job)
    assert (result.width, result.height, result.num_frames, result.fps, result.seed) == (64, 48, 5, 8.0, 7)
    assert (result.project, result.project_name, result.method, result.measured) == (
        "a" * 16,
        "Cat & dog",
        "warp",
        False,
    )
    clip = Clip.load(results.folder(job) / "video.mp4")
    assert clip.frames.shape == (5, 48, 64, 3)
    assert result.bytes == (results.folder(job) / "video.mp4").stat().st_size
    assert left_over(data) == []
    assert store.measuring.next() == ToMeasure(job, False)


@pytest.mark.slow
def test_the_video_tells_how_to_make_it_again_and_nothing_of_this_machine(add, store, results, runner, data):
    from motionloom.jobs import again

    add(seed=7, num_frames=5)
    result = runner.run(store.claim("w"))
    video = results.folder(result.id) / "video.mp4"
    record = read_provenance(video)
    assert str(data) not in json.dumps(record)
    assert record["image"]["path"] == "image.png"
    assert record["parameters"]["seed"] == 7
    job, _ = again(video)
    assert np.array_equal(
        job.run().frames,
        runner._shelf.get("warp", job.parameters, print).run(str(job.image), job.motion, job.parameters)[0].frames,
    )
    assert job.motion.instructions[0].id == "p"


def test_a_text_to_video_model_gets_no_photograph(add, store, results, runner, shelf, monkeypatch):
    class Dreamer(StubModel):
        takes_image, reads_text = False, True

        def run(self, image, motion, parameters, **more):
            assert image is None
            assert motion.size == (48, 64)  # the photograph's shape
            assert parameters.prompt == "a paper boat"
            return super().run(image, motion, parameters, **more)

    use(monkeypatch, shelf, Dreamer())
    add(seed=7, prompt="a paper boat")
    result = runner.run(store.claim("w"))
    assert result is not None
    assert read_provenance(results.folder(result.id) / "video.mp4")["image"] is None
    # The photograph and what is drawn on it stay with the result, for a new project.
    assert (results.folder(result.id) / "image.png").is_file()
    # No video of the photograph: what can be followed in that says nothing about this one.
    from motionloom.studio.jobs.measuring import measure_and_keep

    measure_and_keep(results, result.id)
    assert set(results.get(result.id).measures) == {"epe"}


@pytest.mark.slow
def test_the_result_stays_what_it_was_when_the_job_goes(add, store, results, runner):
    job = add()
    runner.run(store.claim("w"))
    store.remove(job)
    assert not store.snapshots.preview_path(job).parent.exists()
    assert results.image(job).stat().st_size > 0
    assert (results.folder(job) / "motion.json").is_file()


def test_what_was_finished_is_never_made_again(add, store, results, runner, shelf, monkeypatch):
    """The process died after the result had its name and before the queue knew."""
    job = add()
    monkeypatch.setattr(store, "finish", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        runner.run(store.claim("w", pid=1))
    assert results.has(job)
    monkeypatch.undo()
    assert store.release_worker("w") == [job]
    stamp = (results.folder(job) / "video.mp4").stat().st_mtime_ns
    monkeypatch.setattr(shelf, "get", lambda *a: pytest.fail("the model was loaded"))
    runner.run(store.claim("w"))
    assert store.get(job).state == "done"
    assert (results.folder(job) / "video.mp4").stat().st_mtime_ns == stamp


def test_steps_time_left_and_frames_are_told(add, store, runner, shelf, monkeypatch):
    job = add()
    seen = []

    def step(number):
        time.sleep(0.25)
        seen.append(store.get(job))

    use(monkeypatch, shelf, StubModel(step))
    runner.run(store.claim("w"))
    assert [(each.phase, each.step, each.total) for each in seen] == [("sampling", step, 4) for step in range(4)]
    assert [each.preview for each in seen] == [0, 1, 2, 3]
    assert [each.seconds_left is None for each in seen] == [True, True, False, False]  # the first step tells nothing
    assert seen[2].seconds_left == pytest.approx(0.5, rel=0.3)
    assert seen[0].notes == ["memory: none needed"]
    import cv2

    frame = cv2.imread(str(store.snapshots.preview_path(job)))
    assert frame.shape == (6, 8, 3)
    assert abs(int(frame.mean()) - 40) < 4


def test_progress_is_told_a_few_times_a_second_only(add, store, runner, shelf, monkeypatch):
    add()
    told = []
    tell = store.progress
    monkeypatch.setattr(store, "progress", lambda *a, **k: told.append(k) or tell(*a, **k))

    class Many(StubModel):
        def run(self, image, motion, parameters, *, on_progress, on_preview, **more):
            for number in range(20_001):
                on_progress(number, 20_000)
            return super().run(image, motion, parameters, on_progress=lambda *a: 0, on_preview=lambda f: 0)

    use(monkeypatch, shelf, Many())
    started = time.perf_counter()
    runner.run(store.claim("w"))
    assert len(told) <= 10 + 6 * (time.perf_counter() - started)


def test_cancelling_is_noticed_within_a_step(add, store, results, runner, shelf, monkeypatch, data):
    job = add()
    steps = []

    def step(number):
        steps.append(number)
        if number == 2:
            store.cancel(job)

    use(monkeypatch, shelf, StubModel(step))
    assert runner.run(store.claim("w")) is None
    assert store.get(job).state == "cancelled"
    assert steps == [1, 2]
    assert (results.list(), left_over(data)) == ([], [])


def test_cancelling_is_noticed_while_saving(add, store, results, runner, shelf, monkeypatch, data):
    job = add()
    monkeypatch.setattr("motionloom.studio.jobs.reporting.BEAT", 0.02)
    save = Clip.save

    def slow(self, path):
        save(self, path)
        store.cancel(job)
        time.sleep(0.3)

    use(monkeypatch, shelf, StubModel())
    monkeypatch.setattr(Clip, "save", slow)
    runner.run(store.claim("w"))
    assert store.get(job).state == "cancelled"
    assert (results.list(), left_over(data)) == ([], [])


def test_cancelling_is_noticed_while_loading(add, store, runner, monkeypatch):
    job = add(model="nano")

    def load(name, *, on_progress, **more):
        store.cancel(job)
        for done in range(100):
            on_progress(done << 20, 100 << 20)
            time.sleep(0.05)
        pytest.fail("went on")

    monkeypatch.setattr("motionloom.models.loading.load", load)
    runner.run(store.claim("w"))
    assert store.get(job).state == "cancelled"


def test_a_long_step_keeps_its_job(add, data, results, shelf, monkeypatch):
    store = JobStore(data / "studio.db", lease=0.4)
    monkeypatch.setattr("motionloom.studio.jobs.reporting.BEAT", 0.05)
    job = add()

    def step(number):
        if number == 1:
            time.sleep(0.8)
            assert store.release_expired() == []

    use(monkeypatch, shelf, StubModel(step))
    Runner(store, results, shelf).run(store.claim("w"))
    assert store.get(job).state == "done"


def test_who_lost_the_job_writes_nothing(add, store, results, runner, shelf, monkeypatch, data):
    """A laptop that slept for an hour: its job is somebody else's by now."""
    job = add()

    def step(number):
        if number == 1:
            store.release_worker("w")
            assert store.claim("other").job.id == job

    use(monkeypatch, shelf, StubModel(step))
    assert runner.run(store.claim("w")) is None
    assert (store.get(job).state, store.get(job).worker) == ("running", "other")
    assert (results.list(), left_over(data)) == ([], [])


def test_a_mistake_is_told_in_its_own_words(add, store, runner):
    job = add(size=Size(width=64, height=48), resolution="480p")
    runner.run(store.claim("w"))
    assert store.get(job).error == "resolution: found '480p' beside a size, expected one of the two"


def test_what_nobody_foresaw_has_its_trace_in_the_log_only(add, store, runner, shelf, monkeypatch, caplog):
    job = add()

    def step(number):
        raise ZeroDivisionError("secret detail")

    use(monkeypatch, shelf, StubModel(step))
    runner.run(store.claim("w"))
    failed = store.get(job)
    assert failed.state == "failed"
    assert "ZeroDivisionError" in failed.error
    assert "secret" not in failed.error
    assert "Traceback" not in failed.error
    reference = failed.error.split("error ")[1].rstrip(".")
    assert any(reference in record.message and record.exc_info for record in caplog.records)


@pytest.mark.parametrize("error", [MemoryError(), type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory")])
def test_too_little_memory_says_what_to_change(add, store, runner, shelf, monkeypatch, error):
    job = add(size=Size(width=640, height=480))

    def step(number):
        raise error

    use(monkeypatch, shelf, StubModel(step))
    runner.run(store.claim("w"))
    assert store.get(job).error.startswith("Not enough memory for warp at 640x480. Choose a smaller size")


def test_a_full_disk_leaves_nothing_half_written_and_the_job_can_be_tried_again(add, store, results, runner, data):
    job = add()
    with pytest.MonkeyPatch.context() as patch:
        save = Clip.save

        def full(self, path, **more):
            path.with_name(".half").write_bytes(b"x")
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(Clip, "save", full)
        runner.run(store.claim("w"))
        assert Clip.save is not save
    failed = store.get(job)
    assert (failed.state, failed.error) == (
        "failed",
        "The disk with the studio's data is full; nothing of this video was kept. Free some space, then try again.",
    )
    assert (results.list(), left_over(data)) == ([], [])
    store.retry(job)
    assert runner.run(store.claim("w")).id == job


def test_a_queue_on_a_full_disk_is_written_once_there_is_room(add, store, runner, monkeypatch):
    job = add()
    finish, tries = store.finish, []

    def full(*arguments):
        tries.append(1)
        if len(tries) < 100:
            raise DiskFull("full") if len(tries) % 2 else sqlite3.OperationalError("database is locked")
        return finish(*arguments)

    monkeypatch.setattr(store, "finish", full)
    monkeypatch.setattr("motionloom.studio.jobs.running.time.sleep", lambda seconds: None)
    runner.run(store.claim("w"))
    assert (store.get(job).state, len(tries)) == ("done", 100)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("database is locked"), DiskFull("full")])
def test_a_run_goes_on_while_its_progress_cannot_be_written(add, store, runner, shelf, monkeypatch, error):
    job = add()
    use(monkeypatch, shelf, StubModel())

    def progress(*arguments, **more):
        raise error

    monkeypatch.setattr(store, "progress", progress)
    runner.run(store.claim("w"))
    assert store.get(job).state == "done"


def test_a_beat_does_not_write_an_earlier_step_after_a_later_one(add, store, monkeypatch):
    """The heart reads how far the run is, and is slow to write it."""
    job = add()
    reporter = Reporter(store, store.claim("w"))
    reporter.enter("sampling")
    reporter.sampled(1, 9)
    progress, begun = store.progress, threading.Event()

    def slow(*arguments, **more):
        if not begun.is_set():
            begun.set()
            time.sleep(0.2)
        return progress(*arguments, **more)

    monkeypatch.setattr(store, "progress", slow)
    beat = threading.Thread(target=reporter._write)
    beat.start()
    begun.wait(5)
    reporter.sampled(9, 9)
    beat.join()
    assert (store.get(job).step, store.get(job).phase) == (9, "saving")


@pytest.mark.parametrize(
    ("error", "broken"), [(RuntimeError("CUDA error: an illegal memory access"), True), (ValueError("no"), False)]
)
def test_a_broken_device_is_noticed_and_the_model_let_go(add, store, runner, shelf, monkeypatch, error, broken):
    add()
    cleared = []

    def step(number):
        raise error

    use(monkeypatch, shelf, StubModel(step))
    monkeypatch.setattr(shelf, "clear", lambda: cleared.append(1))
    runner.run(store.claim("w"))
    assert (runner.is_broken, cleared) == (broken, [1])


def test_warnings_of_the_model_are_notes_and_those_of_others_are_not(add, store, runner, shelf, monkeypatch):
    job = add()

    def step(number):
        from motionloom.models import warp

        warnings.warn_explicit("the prompt is ignored", UserWarning, warp.__file__, 1)
        warnings.warn_explicit("use the new interface", UserWarning, "/lib/other/package.py", 1)

    use(monkeypatch, shelf, StubModel(step))
    with pytest.warns(UserWarning, match="use the new interface"):
        runner.run(store.claim("w"))
    assert store.get(job).notes == ["memory: none needed", "the prompt is ignored"]


@pytest.mark.slow
def test_the_model_is_kept_for_the_next_job_that_wants_it(monkeypatch):
    loaded = []

    def load(name, **options):
        options.pop("on_progress")
        loaded.append((name, options))
        return object()

    monkeypatch.setattr("motionloom.models.loading.load", load)
    shelf = ModelShelf("auto", lambda name: f"/models/{name}")
    first = parameters_of(GenerationSettings(model="a", seed=1), 1)
    assert shelf.get("a", first, print) is shelf.get(
        "a", parameters_of(GenerationSettings(model="a", strength=0), 2), print
    )
    shelf.get("a", parameters_of(GenerationSettings(model="a", memory="low"), 1), print)
    shelf.get("b", first, print)
    assert loaded == [
        ("/models/a", {"device": None}),
        ("/models/a", {"device": None, "memory": "low"}),
        ("/models/b", {"device": None}),
    ]


def test_parameters_are_what_was_chosen(tmp_path):
    (tmp_path / "loras").mkdir()
    for name in ("orbit", "four_steps"):
        (tmp_path / "loras" / f"{name}.safetensors").write_bytes(b"x")
    chosen = GenerationSettings(
        model="m",
        prompt="p",
        size=Size(width=832, height=480),
        solver="euler",
        window=(0.2, 0.8),
        loras=[LoraChoice(name="orbit", strength=0.8), LoraChoice(name="four_steps", few_step=True)],
        options={"cfg_mode": "joint"},
    )
    made = parameters_of(chosen, 5, tmp_path)
    assert (made.seed, made.size, made.prompt, made.solver, made.window) == (5, (480, 832), "p", "euler", (0.2, 0.8))
    assert made.loras == (f"{tmp_path}/loras/orbit.safetensors:0.8",)
    assert made.few_step_loras == (f"{tmp_path}/loras/four_steps.safetensors:1",)
    assert made.options == {"cfg_mode": "joint"}
    with pytest.raises(Exception, match=r"lora: found '\.\./\.\./etc/passwd'"):
        parameters_of(GenerationSettings(loras=[LoraChoice(name="../../etc/passwd")]), 0, tmp_path)
    with pytest.raises(InputError, match="window"):
        parameters_of(GenerationSettings(window=(0.9, 0.1)), 0)


def test_the_heart_beats_through_a_busy_database(add, store, monkeypatch):
    job = add()
    claim = store.claim("w")
    beats = threading.Event()
    monkeypatch.setattr("motionloom.studio.jobs.reporting.BEAT", 0.02)
    failures = iter([RuntimeError("locked"), RuntimeError("locked")])

    def heartbeat(claim):
        for error in failures:
            raise error
        beats.set()
        return True

    monkeypatch.setattr(store, "heartbeat", heartbeat)
    reporter = Reporter(store, claim)
    with reporter.beating():
        assert beats.wait(5)
        time.sleep(0.05)
        with pytest.raises(Exception, match="cancelled"):
            reporter.check()
    assert store.get(job).state == "running"
