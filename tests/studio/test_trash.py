"""The trash: what lies in it, its end, and both at the same moment as other things."""

import errno
import os
import shutil
import threading
from pathlib import Path

import pytest

from motionloom.studio.deleting import into_trash
from motionloom.studio.jobs.results import ResultStore
from motionloom.studio.problems import Refused
from motionloom.studio.projects.store import ProjectStore
from motionloom.studio.schemas import GenerationSettings, Result
from motionloom.studio.trash import TrashFolder

ONE, TWO = "1" * 16, "2" * 16


@pytest.fixture
def trash(tmp_path):
    return TrashFolder(tmp_path)


@pytest.fixture
def projects(tmp_path):
    return ProjectStore(tmp_path)


@pytest.fixture
def results(tmp_path):
    return ResultStore(tmp_path)


def publish(results, id, video=b"video"):
    record = Result(
        id=id,
        job=id,
        project=None,
        project_name="Rocket lifts off",
        created="2026-01-01T00:00:00.000Z",
        model="nano",
        method="warp",
        seed=7,
        settings=GenerationSettings(model="nano"),
        width=64,
        height=48,
        num_frames=5,
        fps=8.0,
        seconds=1.0,
        bytes=len(video),
        measured=False,
    )
    with results.making(id) as part:
        (part / "video.mp4").write_bytes(video)
        results.publish(part, record)


def aside(tmp_path):
    return list(tmp_path.glob(".trash.*"))


# -------------------------------------------------------------------------------------------------------- what is there
def test_without_a_trash_there_is_nothing(trash):
    found = trash.list()
    assert (found.projects, found.results, found.bytes) == ([], [], 0)
    trash.empty()


def test_things_with_names_sizes_and_when_the_last_one_first(trash, projects, results, photograph, tmp_path):
    old, new = (projects.create(name, photograph).id for name in ("Old 🍂", "New"))
    publish(results, ONE, b"v" * 1_000)
    for id in (old, new):
        projects.delete(id)
    results.remove(ONE)
    os.utime(tmp_path / "trash" / "projects" / old, (1.5, 1.5))
    found = trash.list()
    assert [(each.id, each.name) for each in found.projects] == [(new, "New"), (old, "Old 🍂")]
    assert found.projects[1].deleted == "1970-01-01T00:00:01.500Z"
    (result,) = found.results
    assert (result.id, result.name, result.restorable) == (ONE, "Rocket lifts off, nano, seed 7", True)
    on_disk = sum(path.stat().st_size for path in (tmp_path / "trash").rglob("*") if path.is_file())
    assert found.bytes == on_disk > 1_000 + 2 * len(photograph)
    assert result.bytes == sum(path.stat().st_size for path in (tmp_path / "trash" / "results").rglob("*.*"))


def test_the_time_is_that_of_the_deletion(trash, projects, results, photograph, tmp_path):
    id = projects.create("Cat", photograph).id
    publish(results, ONE)
    for folder in (tmp_path / "projects" / id, tmp_path / "results" / ONE):
        os.utime(folder, (1, 1))
    projects.delete(id)
    results.remove(ONE)
    found = trash.list()
    assert all(each.deleted > "2026" for each in (*found.projects, *found.results))


def test_damaged_things_are_there_by_their_ids(trash, tmp_path, results):
    publish(results, TWO)
    results.remove(TWO)
    folder = tmp_path / "trash" / "results"
    (folder / TWO).rename(folder / ONE)  # its record says TWO
    (folder / "notes.txt").write_text("by hand")
    (folder / ("3" * 16)).symlink_to(tmp_path, target_is_directory=True)
    project = tmp_path / "trash" / "projects" / ONE
    project.mkdir(parents=True)
    (project / "project.json").write_text("{")
    found = trash.list()
    assert {(each.id, each.name, each.restorable) for each in found.results} == {
        (ONE, ONE, False),
        ("notes.txt", "notes.txt", False),
        ("3" * 16, "3" * 16, False),
    }
    assert [(each.id, each.name, each.bytes) for each in found.projects] == [(ONE, ONE, 1)]


def test_the_same_id_twice_and_one_in_use(trash, results):
    for video in (b"first", b"second"):
        publish(results, ONE, video)
        results.remove(ONE)
    both = trash.list().results
    assert {each.name for each in both} == {"Rocket lifts off, nano, seed 7"}
    assert sorted((len(each.id), each.restorable) for each in both) == [(16, True), (25, False)]
    publish(results, ONE, b"third")
    assert not any(each.restorable for each in trash.list().results)


# -------------------------------------------------------------------------------------------------------------- its end
def test_emptying_frees_the_disk_and_leaves_what_is_in_use(trash, projects, results, photograph, tmp_path):
    kept, gone = (projects.create(name, photograph).id for name in ("Kept", "Gone"))
    projects.delete(gone)
    for _ in range(2):
        publish(results, ONE)
        results.remove(ONE)
    trash.empty()
    assert trash.list().bytes == 0
    assert not (tmp_path / "trash").exists()
    assert not aside(tmp_path)
    assert [each.id for each in projects.list()] == [kept]
    for restore, id in ((projects.restore, gone), (results.restore, ONE)):
        with pytest.raises(Refused) as found:
            restore(id)
        assert found.value.code == "not_found"
    projects.delete(kept)  # and the next trash is a new one
    assert [each.name for each in trash.list().projects] == ["Kept"]


def test_links_are_removed_and_not_followed(trash, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "photo.jpg").write_bytes(b"mine")
    (tmp_path / "trash" / "projects" / ONE).mkdir(parents=True)
    (tmp_path / "trash" / "projects" / ONE / "versions").symlink_to(mine, target_is_directory=True)
    (tmp_path / "trash" / "projects" / TWO).symlink_to(mine, target_is_directory=True)
    trash.empty()
    assert (mine / "photo.jpg").read_bytes() == b"mine"
    assert not (tmp_path / "trash").exists()


@pytest.mark.parametrize("which", ["", "projects"])
def test_a_trash_that_is_a_link_is_left_alone(trash, tmp_path, which):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "photo.jpg").write_bytes(b"mine")
    link = tmp_path / "trash" / which
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(mine, target_is_directory=True)
    with pytest.raises(Refused, match="by hand"):
        trash.empty()
    assert link.is_symlink()
    assert (mine / "photo.jpg").exists()


def test_what_a_killed_server_left_goes_at_the_next_start_and_the_next_emptying(trash, tmp_path):
    for run in (trash.empty, trash.sweep_soon):
        left = tmp_path / ".trash.0a1b2c3d.part" / "projects" / ONE
        left.mkdir(parents=True)
        (left / "image.png").write_bytes(b"image")
        run()
        for thread in threading.enumerate():
            if thread.name == "trash":
                thread.join(10)
        assert not aside(tmp_path)


def test_what_cannot_be_removed_is_told_and_tried_again(trash, tmp_path, monkeypatch):
    folder = tmp_path / "trash" / "results" / ONE
    folder.mkdir(parents=True)
    (folder / "video.mp4").write_bytes(b"video")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda path, ignore_errors: None)
        with pytest.raises(Refused, match="1 files or folders"):
            trash.empty()
    assert len(aside(tmp_path)) == 1
    assert trash.list().bytes == 0
    trash.empty()
    assert not aside(tmp_path)


# --------------------------------------------------------------------------------------------------- at the same moment
def test_a_result_that_is_restored_while_the_trash_is_emptied_is_whole_or_gone(trash, results, tmp_path):
    ends = set()
    for _ in range(30):
        publish(results, ONE)
        results.remove(ONE)
        together = threading.Barrier(2)

        def empty(together=together):
            together.wait()
            trash.empty()

        thread = threading.Thread(target=empty)
        thread.start()
        together.wait()
        try:
            results.restore(ONE)
            assert (tmp_path / "results" / ONE / "video.mp4").read_bytes() == b"video"
            ends.add("whole")
            results.remove(ONE)
        except Refused as refused:
            ends.add(refused.code)
        thread.join(10)
    assert ends <= {"whole", "not_found"}


def test_the_trash_emptied_between_looking_and_restoring(trash, results, tmp_path, monkeypatch):
    publish(results, ONE)
    results.remove(ONE)
    rename = Path.rename

    def emptied_first(path, target):
        monkeypatch.setattr(Path, "rename", rename)
        trash.empty()
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", emptied_first)
    with pytest.raises(Refused) as found:
        results.restore(ONE)
    assert found.value.code == "not_found"
    assert not (tmp_path / "results" / ONE).exists()


def test_deleting_goes_on_in_a_new_trash_when_the_old_one_is_emptied(trash, tmp_path, monkeypatch):
    source = tmp_path / "projects" / ONE
    source.mkdir(parents=True)
    replace, calls = os.replace, []

    def emptied_first(old, new):
        calls.append(old)
        if len(calls) == 1:
            monkeypatch.setattr(os, "replace", replace)
            trash.empty()
        replace(old, new)

    monkeypatch.setattr(os, "replace", emptied_first)
    assert into_trash(source, tmp_path / "trash" / "projects").is_dir()
    assert calls == [source]
    with pytest.raises(FileNotFoundError):
        into_trash(source, tmp_path / "trash" / "projects")


def test_a_folder_whose_time_cannot_be_set_is_moved_all_the_same(tmp_path, monkeypatch):
    source = tmp_path / "projects" / ONE
    source.mkdir(parents=True)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "utime", full)
    assert into_trash(source, tmp_path / "trash" / "projects").is_dir()
