"""Projects on the disk: what is written is there, whatever dies, fills up or breaks in between."""

import errno
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from motionloom.errors import FileFormatError, InputError
from motionloom.studio.problems import Refused
from motionloom.studio.projects import versions, writing
from motionloom.studio.projects.store import ProjectStore
from motionloom.studio.projects.words import clean_name
from motionloom.studio.schemas import GenerationSettings, ProjectWrite
from motionloom.studio.settings import Limits
from motionloom.tracks.motion import Canvas, Motion


@pytest.fixture
def store(tmp_path):
    return ProjectStore(tmp_path)


@pytest.fixture
def made(store, photograph):
    return store.create("Cat", photograph)


def change(project, num_frames, **options):
    options.setdefault("base_version", project.version)
    motion = {**project.motion, "num_frames": num_frames}
    return ProjectWrite(motion=motion, settings=options.pop("settings", project.settings), **options)


def frames(project):
    return project.motion["num_frames"]


def parts(folder):
    return [path for path in folder.rglob("*") if ".part" in path.name]


# ---------------------------------------------------------------------------------------------------------- everyday
def test_a_new_project_has_the_size_of_its_picture_and_nothing_drawn(store, made):
    assert (made.version, made.name, made.width, made.height, made.num_instructions) == (1, "Cat", 64, 48, 0)
    motion = Motion.parse(made.motion)
    assert (motion.size, motion.num_frames, motion.fps) == ((48, 64), 49, 16.0)
    assert made.settings == GenerationSettings()
    with Image.open(store.thumbnail_path(made.id)) as shown:
        assert (shown.format, shown.size) == ("WEBP", (64, 48))


def test_the_photograph_is_kept_byte_for_byte_and_shown_only_as_encoded_anew(store, photograph):
    made = store.create("x", photograph + b"<script>alert(1)</script>")
    assert store.image_path(made.id).read_bytes() == photograph + b"<script>alert(1)</script>"
    assert b"script" not in store.display_path(made.id).read_bytes()


def test_all_of_it_is_there_after_a_restart(store, made, tmp_path):
    settings = GenerationSettings(model="warp", prompt="Ünïcode 🐈", seed=2**53 - 1, window=(0.25, 0.5), strength=0.1)
    store.write(made.id, change(made, 33, settings=settings, name="Katze 🐈"))
    found = ProjectStore(tmp_path).get(made.id)
    assert (found.version, frames(found), found.name, found.settings) == (2, 33, "Katze 🐈", settings)
    assert [each.id for each in ProjectStore(tmp_path).list()] == [made.id]
    document = json.loads((tmp_path / "projects" / made.id / "project.motion.json").read_text())
    assert Motion.parse(document).num_frames == 33


def test_a_motion_comes_back_as_it_was_drawn(store, photograph):
    from motionloom.examples_data import example

    drawn = Motion.load(example("coffee")[1])
    made = store.create("x", photograph, drawn)
    assert Motion.parse(made.motion) == drawn
    assert made.num_instructions == len(drawn.instructions)


def test_the_one_written_last_comes_first(store, photograph):
    first, second = store.create("1", photograph), store.create("2", photograph)
    assert [each.name for each in store.list()] == ["2", "1"]
    store.write(first.id, change(first, 9))
    assert [each.id for each in store.list()] == [first.id, second.id]


def test_what_changes_nothing_makes_no_version(store, made):
    for base in (1, 0, 7):
        assert store.write(made.id, change(made, 49, base_version=base)).version == 1
    assert store.write(made.id, change(made, 49, name="Cat")).version == 1
    assert store.write(made.id, change(made, 49, name="Dog")).version == 2


def test_two_tabs_cannot_overwrite_each_other_unknowingly(store, made):
    store.write(made.id, change(made, 10))
    with pytest.raises(Refused, match="made from version 1, the newest is 2") as caught:
        store.write(made.id, change(made, 20))
    assert (caught.value.code, caught.value.details) == ("conflict", {"version": 2})
    assert frames(store.get(made.id)) == 10
    assert store.write(made.id, change(made, 20, overwrite=True)).version == 3
    assert [frames(store.version(made.id, number)) for number in (3, 2, 1)] == [20, 10, 49]


def test_of_many_writers_at_once_one_wins_each_round(store, made):
    def write(num_frames):
        try:
            return store.write(made.id, change(made, num_frames)).version
        except Refused as refused:
            return refused.code

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(write, range(2, 18)))
    assert sorted(map(str, answers)) == ["2"] + ["conflict"] * 15
    assert frames(store.get(made.id)) == answers.index(2) + 2


def test_older_versions_can_be_looked_at_and_taken_back(store, made):
    store.write(made.id, change(made, 10, name="Dog"))
    assert [(v.version, v.name) for v in store.versions(made.id)] == [(2, "Dog"), (1, "Cat")]
    back = store.restore_version(made.id, 1)
    assert (back.version, back.name, frames(back)) == (3, "Cat", 49)
    assert frames(store.version(made.id, 2)) == 10
    assert store.restore_version(made.id, 1).version == 3
    with pytest.raises(Refused, match="no version 9"):
        store.version(made.id, 9)


def test_deleted_projects_come_back_from_the_trash(store, made):
    store.write(made.id, change(made, 10))
    store.delete(made.id)
    assert store.list() == []
    with pytest.raises(Refused, match="may be in the trash"):
        store.get(made.id)
    with pytest.raises(Refused, match="There is no project"):
        store.delete(made.id)
    back = store.restore(made.id)
    assert (back.version, frames(back)) == (2, 10)
    assert store.restore(made.id) == back
    with pytest.raises(Refused, match="none in the trash"):
        store.restore("0" * 16)


def test_a_copy_lives_on_its_own(store, made):
    store.write(made.id, change(made, 10))
    copy = store.duplicate(made.id)
    assert (copy.name, copy.version, frames(copy)) == ("Cat copy", 1, 10)
    assert copy.id != made.id
    store.write(copy.id, change(copy, 20))
    store.delete(made.id)
    assert frames(store.get(copy.id)) == 20
    assert store.image_path(copy.id).is_file()


def test_everyone_hears_of_changes_and_by_whom(store, photograph):
    heard = []
    store.announce = lambda *, project, removed, tab: heard.append((project and project.version, removed, tab))
    made = store.create("x", photograph, tab="a")
    store.write(made.id, change(made, 9, tab="b"))
    store.write(made.id, change(made, 9, base_version=2, tab="b"))
    store.delete(made.id, tab="c")
    assert heard == [(1, None, "a"), (2, None, "b"), (None, made.id, "c")]


def test_a_change_that_cannot_be_announced_is_written_all_the_same(store, made):
    store.announce = lambda **change: 1 / 0
    assert store.write(made.id, change(made, 9)).version == 2


# ------------------------------------------------------------------------------------------------------------ names
@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("  a \n b\t", "a b"), ("", "Untitled"), (None, "Untitled"), ("\0\x1b[31m", "[31m"), ("日本語 🎬", "日本語 🎬"),
        ("../../etc/passwd", "../../etc/passwd"), ("x" * 500, "x" * 200), ("a\u202eb", "ab"),
        ("👩‍👩‍👧 🏴", "👩‍👩‍👧 🏴"),
    ],
)  # fmt: skip
def test_names_are_text_for_people(name, kept):
    assert clean_name(name) == kept


def test_names_never_become_paths(store, photograph, tmp_path):
    made = store.create("../../../evil", photograph)
    assert made.name == "../../../evil"
    assert sorted(path.name for path in (tmp_path / "projects").iterdir()) == [made.id]


def test_ids_never_become_paths(store, made):
    for id in ("..", ".", "", made.id + "/..", made.id + "\n", made.id.upper() + "A", "../" + made.id, "a" * 17):
        for call in (store.get, store.delete, store.restore, store.image_path, store.versions, store.duplicate):
            with pytest.raises(Refused, match="16 hexadecimal"):
                call(id)


# --------------------------------------------------------------------------------------------------- what is refused
def test_motions_that_name_files_are_refused(store, made, photograph):
    motion = {**made.motion, "instructions": [{"kind": "region", "mask": "/etc/passwd", "path": None}]}
    with pytest.raises(InputError, match="names the file '/etc/passwd', expected masks"):
        store.write(made.id, ProjectWrite(base_version=1, motion=motion, settings=made.settings))
    assert store.get(made.id) == made


def test_motions_out_of_bounds_are_refused(tmp_path, photograph):
    store = ProjectStore(tmp_path, Limits(max_frames=100, max_projects=1))
    made = store.create("x", photograph)
    with pytest.raises(Refused, match="found 101 frames, expected at most 100"):
        store.write(made.id, change(made, 101))
    with pytest.raises(FileFormatError, match="num_frames"):
        store.write(made.id, change(made, 0))
    with pytest.raises(Refused, match="at most 1 projects"):
        store.create("y", photograph)


# ---------------------------------------------------------------------------------------------------------- kill -9
def crash(action, *, at, when):
    """Runs ``action`` in a process that is killed at a moment; whether it was."""
    child = os.fork()
    if child == 0:
        calls = 0
        real = {"replace": os.replace, "fsync": os.fsync}

        def dying(name):
            def call(*arguments, **options):
                nonlocal calls
                calls += 1
                if calls == at and when == "before":
                    os._exit(9)
                result = real[name](*arguments, **options)
                if calls == at:
                    os._exit(9)
                return result

            return call

        os.replace, os.fsync = dying("replace"), dying("fsync")
        try:
            action()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_point_of_a_write_leaves_the_old_state_or_the_new(tmp_path, store, made, when):
    store.write(made.id, change(made, 10))
    seen = set()
    for at in range(1, 100):
        now = store.get(made.id)
        wanted = frames(now) + 1
        if not crash(
            lambda now=now, to=wanted: ProjectStore(tmp_path).write(made.id, change(now, to)), at=at, when=when
        ):
            break
        again = ProjectStore(tmp_path)
        writing.sweep(again.folder)
        assert parts(tmp_path) == []
        found = again.get(made.id)
        assert (found.version, frames(found)) in ((now.version, wanted - 1), (now.version + 1, wanted))
        seen.add(found.version - now.version)
        summary = again.list()[0]
        assert (summary.version, summary.damaged) == (found.version, False)
        # Writing the same again, as a page does that got no answer, ends in the new state without a conflict.
        assert again.write(made.id, change(now, wanted)).version == now.version + 1
        document = json.loads((tmp_path / "projects" / made.id / "project.motion.json").read_text())
        if found.version == now.version:
            assert document["num_frames"] == wanted
    assert at == 7  # three files are written through to the disk, and get their names
    assert seen == {0, 1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
@pytest.mark.slow
def test_killed_while_a_project_is_made_leaves_it_whole_or_not_at_all(tmp_path, store, photograph):
    for at in range(1, 100):
        before = len(ProjectStore(tmp_path).list())
        if not crash(lambda: ProjectStore(tmp_path).create("x", photograph), at=at, when="before"):
            break
        again = ProjectStore(tmp_path)
        writing.sweep(again.folder)
        assert parts(tmp_path) == []
        assert len(again.list()) == before
    assert at > 5
    assert [again.get(each.id).damaged for each in ProjectStore(tmp_path).list()] == [False]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_deleting_or_restoring_leaves_it_in_one_place(tmp_path, store, made, when):
    assert crash(lambda: store.delete(made.id), at=1, when=when)
    assert len(store.list()) == (when == "before")
    if when == "before":
        store.delete(made.id)
    assert crash(lambda: store.restore(made.id), at=1, when=when)
    assert store.restore(made.id) == made


# ---------------------------------------------------------------------------------------------------------- full disk
class FullDisk:
    """Files that take no more bytes."""

    def __init__(self, monkeypatch, room):
        self.room = room
        real = open

        def limited(path, mode="r", *arguments, **options):
            file = real(path, mode, *arguments, **options)
            if "w" in mode:
                file = _Limited(file, self)
            return file

        monkeypatch.setattr(writing, "open", limited, raising=False)


class _Limited:
    def __init__(self, file, disk):
        self._file, self._disk = file, disk

    def write(self, content):
        if len(content) > self._disk.room:
            self._file.write(content[: self._disk.room])
            raise OSError(errno.ENOSPC, "No space left on device")
        self._disk.room -= len(content)
        return self._file.write(content)

    def __enter__(self):
        self._file.__enter__()
        return self

    def __exit__(self, *error):
        return self._file.__exit__(*error)

    def __getattr__(self, name):
        return getattr(self._file, name)


def test_a_full_disk_changes_nothing_wherever_it_fills_up(tmp_path, store, made, monkeypatch):
    disk = FullDisk(monkeypatch, 0)
    needed = sum(
        len((tmp_path / "projects" / made.id / name).read_bytes())
        for name in ("versions/000001.json", "project.motion.json", "project.json")
    )
    refused = 0
    for room in range(0, needed - 20, 97):  # the new state takes a few bytes more or less than the old one
        disk.room = room
        with pytest.raises(OSError, match="No space left"):
            store.write(made.id, change(made, 10))
        refused += 1
        assert store.get(made.id) == made
        assert versions.numbers(tmp_path / "projects" / made.id) == [1]
        assert parts(tmp_path) == []
    assert refused > 5
    disk.room = 2 * needed
    store.write(made.id, change(made, 10))
    assert frames(store.get(made.id)) == 10


def test_a_disk_that_fills_up_after_the_version_is_written_loses_nothing(tmp_path, store, made, monkeypatch):
    real, calls = os.replace, []

    def failing(source, target):
        calls.append(target)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    assert store.write(made.id, change(made, 10)).version == 2
    monkeypatch.setattr(os, "replace", real)
    again = ProjectStore(tmp_path)
    assert (again.list()[0].version, frames(again.get(made.id))) == (2, 10)
    assert parts(tmp_path) == []


# ------------------------------------------------------------------------------------------------------------ damage
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": 3}', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_project_file_is_made_good_from_the_versions(tmp_path, store, made, content):
    store.write(made.id, change(made, 10))
    (tmp_path / "projects" / made.id / "project.json").write_bytes(content)
    again = ProjectStore(tmp_path)
    (summary,) = again.list()
    assert (summary.damaged, summary.version, summary.name) == (True, 2, "Cat")
    assert (summary.width, summary.height) == (64, 48)
    found = again.get(made.id)
    assert frames(found) == 10
    assert again.image_path(made.id).is_file()
    again.write(made.id, change(found, 11))
    assert not ProjectStore(tmp_path).list()[0].damaged


def test_a_damaged_newest_version_is_kept_and_the_one_before_is_used(tmp_path, store, made):
    for num_frames in (10, 11):
        store.write(made.id, change(store.get(made.id), num_frames))
    newest = tmp_path / "projects" / made.id / "versions" / "000003.json"
    newest.write_bytes(newest.read_bytes()[:50])
    again = ProjectStore(tmp_path)
    found = again.get(made.id)
    assert (found.version, frames(found), found.damaged) == (2, 10, True)
    assert again.write(made.id, change(found, 12)).version == 4
    assert newest.stat().st_size == 50
    assert [v.version for v in again.versions(made.id)] == [4, 2, 1]


def test_a_project_without_any_readable_version_does_not_break_the_list(tmp_path, store, made, photograph):
    other = store.create("Dog", photograph)
    (tmp_path / "projects" / made.id / "versions" / "000001.json").write_bytes(b"")
    (tmp_path / "projects" / made.id / "project.json").write_bytes(b"")
    (tmp_path / "projects" / ("f" * 16)).mkdir()
    (tmp_path / "projects" / "not a project").mkdir()
    again = ProjectStore(tmp_path)
    listed = {each.id: each.damaged for each in again.list()}
    assert listed == {made.id: True, other.id: False, "f" * 16: True}
    with pytest.raises(Refused, match="every version of it is damaged"):
        again.get(made.id)
    again.delete(made.id)
    assert {each.id for each in again.list()} == {other.id, "f" * 16}


def test_lost_pictures_for_the_browser_are_made_again(store, made):
    before = store.display_path(made.id).read_bytes()
    store.display_path(made.id).unlink()
    assert store.display_path(made.id).read_bytes() == before


def test_settings_of_a_newer_studio_are_read_as_far_as_they_are_known(tmp_path, store, made):
    path = tmp_path / "projects" / made.id / "versions" / "000001.json"
    data = json.loads(path.read_text())
    data["settings"] |= {"prompt": "a cat", "new_thing": 1, "seed": "many"}
    path.write_text(json.dumps(data))
    found = store.get(made.id).settings
    assert (found.prompt, found.seed) == ("a cat", 0)


# ------------------------------------------------------------------------------------------------------------- speed
@pytest.mark.slow
def test_saving_a_project_with_many_paths_is_quick(store, photograph):
    import time

    path = {"kind": "path", "points": [[float(k), 2.0 * k, float(k)] for k in range(12)]}
    motion = Motion.parse(
        {
            "format": "motionloom.motion", "version": 1, "canvas": {"width": 64, "height": 48}, "num_frames": 49,
            "fps": 16.0, "instructions": [path] * 200,
        }
    )  # fmt: skip
    made = store.create("x", photograph, motion)
    seconds = []
    for num_frames in range(50, 60):
        wanted = change(store.get(made.id), num_frames)
        started = time.perf_counter()
        store.write(made.id, wanted)
        seconds.append(time.perf_counter() - started)
    print(f"write of 200 paths: {1000 * min(seconds):.0f} ms")
    assert min(seconds) < 0.25  # about 20 ms; the bound only tells a different order of growth


def test_locks_are_per_project(store, photograph, made):
    other = store.create("y", photograph)
    entered = threading.Event()
    with store._lock(made.id):
        thread = threading.Thread(target=lambda: (store.write(other.id, change(other, 9)), entered.set()))
        thread.start()
        assert entered.wait(5)
    thread.join()


def test_ids_that_nobody_made_leave_no_locks_behind(store, made):
    for number in range(50):
        with pytest.raises(Refused):
            store.get(f"{number:016x}")
    store.get(made.id)
    assert len(store._locks) == 0


def test_canvas_may_be_of_another_size_than_the_picture(store, photograph):
    motion = Motion(canvas=Canvas(width=128, height=96), num_frames=9, fps=8.0)
    assert Motion.parse(store.create("x", photograph, motion).motion).size == (96, 128)
