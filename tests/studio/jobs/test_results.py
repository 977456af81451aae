"""Results on disk: whole or not there, in the trash and back; and what is made of them."""

import errno
import threading
from collections import Counter

import numpy as np
import pytest

from motionloom.errors import Cancelled
from motionloom.media import Clip
from motionloom.studio.jobs.derived import Derived
from motionloom.studio.jobs.results import ResultStore
from motionloom.studio.jobs.snapshots import Snapshots
from motionloom.studio.problems import Refused
from motionloom.studio.schemas import GenerationSettings, Result

MOTION = {
    "format": "motionloom.motion",
    "version": 1,
    "canvas": {"width": 64, "height": 48},
    "num_frames": 5,
    "fps": 8.0,
    "instructions": [{"id": "p", "kind": "path", "points": [[20, 20, 0], [40, 24, 4]], "curve": "polyline"}],
}


@pytest.fixture
def results(tmp_path):
    return ResultStore(tmp_path)


def record(id, project=None, created="2026-01-01T00:00:00.000Z"):
    return Result(
        id=id,
        job=id,
        project=project,
        project_name="Cat",
        created=created,
        model="warp",
        method="warp",
        seed=0,
        settings=GenerationSettings(model="warp"),
        width=64,
        height=48,
        num_frames=5,
        fps=8.0,
        seconds=1.0,
        bytes=1,
        measured=False,
    )


def publish(results, id, video=b"video", **facts):
    with results.making(id) as part:
        (part / "video.mp4").write_bytes(video)
        results.publish(part, record(id, **facts))
    return id


def names(results):
    return [result.id for result in results.list()]


ONE, TWO = "1" * 16, "2" * 16


def test_a_result_is_there_once_it_is_complete(results, tmp_path):
    with results.making(ONE) as part:
        (part / "video.mp4").write_bytes(b"half")
        assert (names(results), results.has(ONE)) == ([], False)
        results.publish(part, record(ONE))
        assert names(results) == [ONE]
    assert results.get(ONE) == record(ONE)
    assert [path.name for path in (tmp_path / "results").iterdir()] == [ONE]


def test_a_run_that_fails_leaves_nothing(results, tmp_path):
    def run():
        with results.making(ONE) as part:
            (part / "video.mp4").write_bytes(b"half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        run()
    assert list((tmp_path / "results").iterdir()) == []


def test_of_two_that_made_the_same_the_first_stays(results):
    publish(results, ONE, b"first")
    publish(results, ONE, b"second")
    assert (results.folder(ONE) / "video.mp4").read_bytes() == b"first"


def test_a_disk_that_is_full_at_the_last_moment_is_an_error(results, monkeypatch):
    from pathlib import Path

    def full(self, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space left"):
        publish(results, ONE)
    assert names(results) == []


def test_lists_are_newest_first_and_by_project(results):
    publish(results, ONE, project="a" * 16)
    publish(results, TWO, project="b" * 16, created="2026-01-02T00:00:00.000Z")
    assert names(results) == [TWO, ONE]
    assert [result.id for result in results.list("a" * 16)] == [ONE]
    assert results.counts() == Counter({"a" * 16: 1, "b" * 16: 1})


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": "2222222222222222"}', b"\xff\xfe"])
def test_a_damaged_record_hides_only_itself(results, content):
    publish(results, ONE)
    publish(results, TWO)
    (results.folder(TWO) / "record.json").write_bytes(content)
    assert names(results) == [ONE]
    with pytest.raises(Refused, match="it may have been deleted"):
        results.get(TWO)


def test_strangers_in_the_folder_are_no_results(results, tmp_path):
    publish(results, ONE)
    for name in ("notes.txt", ".hidden", "zzzz", "1" * 17):
        (tmp_path / "results" / name).mkdir()
    assert names(results) == [ONE]


@pytest.mark.parametrize("id", ["../projects", "..", "", "1" * 15, "/etc", "G" * 16, "1" * 16 + "\n"])
def test_ids_never_become_paths(results, id, tmp_path):
    (tmp_path / "projects").mkdir()
    (tmp_path / "projects" / "record.json").write_text(record(ONE).model_dump_json())
    for ask in (results.get, results.folder, results.remove, results.restore):
        with pytest.raises(Refused) as found:
            ask(id)
        assert found.value.code == "not_found"


def test_into_the_trash_and_back(results, tmp_path):
    publish(results, ONE)
    with results.adding(ONE, "made/overlay.mp4") as path:
        path.write_bytes(b"overlay")
    results.remove(ONE)
    assert names(results) == []
    assert (tmp_path / "trash" / "results" / ONE / "video.mp4").read_bytes() == b"video"
    assert not (tmp_path / "trash" / "results" / ONE / "made").exists()
    assert results.restore(ONE) == record(ONE)
    assert results.restore(ONE) == record(ONE)  # twice changes nothing
    with pytest.raises(Refused):
        results.restore(TWO)


def test_what_is_in_the_trash_is_not_written_over(results, tmp_path):
    for video in (b"first", b"second"):
        publish(results, ONE, video)
        results.remove(ONE)
    kept = {path.read_bytes() for path in (tmp_path / "trash" / "results").glob("*/video.mp4")}
    assert kept == {b"first", b"second"}


def test_a_new_record_is_seen_by_who_had_read_the_old_one(results, tmp_path):
    publish(results, ONE)
    other = ResultStore(tmp_path)
    assert not other.get(ONE).measured
    results.rewrite(record(ONE).model_copy(update={"measured": True, "measures": {"epe": 1.5}}))
    assert other.get(ONE).measures == {"epe": 1.5}


# ------------------------------------------------------------------------------------------------------------ snapshots
def test_snapshots_are_there_for_all_or_for_none(tmp_path, monkeypatch):
    image = tmp_path / "cat.PNG"
    image.write_bytes(b"picture")
    snapshots = Snapshots(tmp_path)
    snapshots.write([ONE, TWO], image, MOTION)
    image.unlink()
    assert [snapshots.image(job).read_bytes() for job in (ONE, TWO)] == [b"picture"] * 2
    assert snapshots.motion(TWO).instructions[0].id == "p"
    image.write_bytes(b"picture")
    three, taken = "3" * 16, ONE
    with pytest.raises(FileExistsError):
        snapshots.write([three, taken], image, MOTION)
    assert not (tmp_path / "jobs" / three).exists()
    assert snapshots.image(ONE).read_bytes() == b"picture"


# ----------------------------------------------------------------------------------------------------- made of results
@pytest.fixture
def made(results, tmp_path):
    """A result with a real video, of colours that are told apart."""
    import json

    import cv2

    with results.making(ONE) as part:
        noise = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
        picture = cv2.resize(noise, (64, 48), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(part / "image.png"), picture[..., ::-1])
        (part / "motion.json").write_text(json.dumps(MOTION))
        Clip(np.stack([picture] * 5), 8.0, {"seconds": 1.0, "note": "made"}).save(part / "video.mp4")
        results.publish(part, record(ONE))
    return results


def test_an_overlay_has_the_way_drawn_on_the_video(made):
    overlay = Clip.load(made.derived.path(ONE, "overlay"))
    video = Clip.load(made.derived.path(ONE, "video"))
    assert (overlay.frames.shape, overlay.fps) == (video.frames.shape, video.fps)
    assert overlay.provenance["drawn_on"]["note"] == "made"
    changed = np.abs(overlay.frames[4].astype(int) - video.frames[4]).max(-1) > 60
    rows, columns = np.nonzero(changed)
    assert abs(columns.max() - 40) < 12
    assert abs(rows.mean() - 23) < 8


def test_a_preview_is_as_large_and_as_long_as_the_video(made):
    preview = Clip.load(made.derived.path(ONE, "preview"))
    assert (preview.frames.shape, preview.fps) == ((5, 48, 64, 3), 8.0)
    assert preview.provenance["model"]["name"] == "warp"
    assert preview.provenance["image"]["path"] == "image.png"


@pytest.mark.parametrize("form", ["mp4", "webm", "gif", "webp"])
def test_side_by_side_in_every_format_has_provenance(made, form):
    path = made.derived.path(ONE, "side_by_side", form)
    clip = Clip.load(path)
    assert path.suffix == f".{form}"
    assert clip.num_frames == 5
    assert clip.size[1] > 2 * 64
    assert clip.provenance["drawn_on"]["note"] == "made"


@pytest.mark.parametrize("form", ["webm", "gif", "webp"])
def test_the_video_in_other_formats_keeps_its_provenance(made, form):
    clip = Clip.load(made.derived.path(ONE, "video", form))
    assert clip.frames.shape == (5, 48, 64, 3)
    assert clip.provenance["note"] == "made"


def test_two_who_ask_wait_for_one_making(made, monkeypatch):
    derived, count = Derived(made), []
    original = derived._overlay
    monkeypatch.setattr(derived, "_overlay", lambda result: count.append(1) or original(result))
    found = []
    threads = [threading.Thread(target=lambda: found.append(derived.path(ONE, "overlay"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(count), len(set(found))) == (1, 1)


def test_on_a_full_disk_nothing_half_made_is_kept(made, monkeypatch):
    import motionloom.media.video as video

    write = video.write_video

    def full(target, *arguments, **more):
        target.with_name(target.name).parent.mkdir(exist_ok=True)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(video, "write_video", full)
    with pytest.raises(OSError, match="No space left"):
        made.derived.path(ONE, "overlay")
    monkeypatch.setattr(video, "write_video", write)
    assert Clip.load(made.derived.path(ONE, "overlay")).num_frames == 5


def test_what_is_deleted_while_something_is_made_of_it_can_still_be_restored(made, monkeypatch, tmp_path):
    derived = Derived(made)
    video = derived._video

    def meanwhile(result):
        clip = video(result)
        made.remove(result)
        return clip

    monkeypatch.setattr(derived, "_video", meanwhile)
    with pytest.raises(Refused) as found:
        derived.path(ONE, "video", "gif")
    assert found.value.code == "not_found"
    assert list((tmp_path / "results").iterdir()) == []
    assert made.restore(ONE) == record(ONE)
    assert Clip.load(made.derived.path(ONE, "video", "gif")).num_frames == 5


def test_a_record_does_not_bring_back_what_is_deleted(made, monkeypatch, tmp_path):
    making = made.making

    def meanwhile(result):
        made.remove(result)
        return making(result)

    monkeypatch.setattr(made, "making", meanwhile)
    with pytest.raises(Refused):
        made.rewrite(record(ONE))
    assert list((tmp_path / "results").iterdir()) == []
    assert made.restore(ONE) == record(ONE)


def test_of_two_who_delete_the_second_is_told(results, monkeypatch):
    publish(results, ONE)
    folder = results.folder(ONE)
    results.remove(ONE)
    monkeypatch.setattr(results, "folder", lambda result: folder)
    with pytest.raises(Refused, match="it may have been deleted"):
        results.remove(ONE)


def test_nothing_is_made_any_more_once_the_server_stops(made):
    derived = made.derived
    kept = derived.path(ONE, "overlay")
    made.close()
    assert derived.path(ONE, "overlay") == kept
    for kind, form in (("preview", "mp4"), ("video", "gif")):
        with pytest.raises(Cancelled):
            derived.path(ONE, kind, form)


def test_measuring_what_was_deleted_meanwhile_is_no_error(made, monkeypatch):
    from motionloom.studio.jobs import measuring

    monkeypatch.setattr(measuring, "measure_result", lambda results, result: results.remove(result))
    monkeypatch.setattr(measuring, "_keep", lambda *a, keep=measuring._keep: keep(*a[:2], measuring.Measured({}, {})))
    measuring.measure_and_keep(made, ONE)
    assert names(made) == []
    assert not made.restore(ONE).measured


@pytest.mark.parametrize("kind", [OSError, RuntimeError])
def test_a_full_disk_is_no_reason_not_to_be_measured_later(made, monkeypatch, kind):
    from motionloom.studio.jobs import measuring

    def full(results, result):
        raise kind("an encoder says: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(measuring, "measure_result", full)
        with pytest.raises(kind, match="No space"):
            measuring.measure_and_keep(made, ONE)
    assert not made.get(ONE).measured


def test_who_never_came_to_an_end_of_measuring_says_so(made):
    from motionloom.studio.jobs.measuring import give_up

    give_up(made, ONE)
    found = made.get(ONE)
    assert (found.measured, found.measures["epe"]) == (True, None)
    assert "never came to an end" in found.reasons["epe"]


def test_measures_say_how_far_off_a_still_video_is(made):
    from motionloom.studio.jobs.measuring import measure_and_keep

    measure_and_keep(made, ONE)
    found = made.get(ONE)
    assert found.measured
    # The point should go 20 pixels to the right and 4 down, and nothing moves: half of that in the mean over frames.
    assert found.measures["epe"] == pytest.approx(np.hypot(20, 4) * np.mean([0.25, 0.5, 0.75, 1]), rel=0.1)
    assert set(found.measures) == {"epe", "epe_trackable", "trackable_fraction"}


def test_where_there_is_nothing_to_measure_the_reason_is_kept(made):
    import json

    from motionloom.studio.jobs.measuring import measure_and_keep

    folder = made.folder(ONE)
    (folder / "motion.json").write_text(json.dumps({**MOTION, "instructions": []}))
    measure_and_keep(made, ONE)
    found = made.get(ONE)
    assert (found.measured, found.measures["epe"]) == (True, None)
    assert "no track is visible" in found.reasons["epe"]
    (folder / "video.mp4").write_bytes(b"no video")
    measure_and_keep(made, ONE)
    assert "video.mp4" in made.get(ONE).reasons["epe"]
