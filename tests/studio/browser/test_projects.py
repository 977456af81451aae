"""Projects: nothing drawn is lost, by reloading, by two windows, by a full disk; files go in and out."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect
from studio_driver import until

from motionloom.tracks.formats import read_tracks

pytestmark = pytest.mark.slow

FULL = """
import errno, os
_replace = os.replace
def replace(source, target, **options):
    if os.path.exists({flag!r}):
        raise OSError(errno.ENOSPC, "No space left on device", str(target))
    return _replace(source, target, **options)
os.replace = replace
"""


def test_reloading_restores_everything(editor):
    editor.draw_path()
    editor.tool("Circle zoom")
    editor.drag([(200, 160), (250, 160)])
    before = editor.wait_for_instructions(2)
    editor.page.reload()
    editor.wait_until_ready()
    expect(editor.options).to_have_count(2)
    assert editor.stored_instructions() == before


def test_closing_at_once_loses_nothing(studio, open_page):
    editor = open_page(studio).open_new()
    editor.draw_path()
    editor.page.close()
    editor.wait_for_instructions(1)


def test_an_example_is_a_project_to_start_from(studio, open_page):
    editor = open_page(studio)
    editor.page.get_by_role("button", name=re.compile("Start from Cat")).click()
    editor.wait_until_ready()
    assert editor.options.count() > 0
    editor.button("Projects").click()
    expect(editor.button("New project")).to_be_visible()


def test_a_photograph_becomes_a_project(studio, open_page, tmp_path):
    from motionloom.examples_data import example

    editor = open_page(studio)
    with editor.page.expect_file_chooser() as chooser:
        editor.button("New project").click()
    chooser.value.set_files(example("coffee")[0])
    editor.wait_until_ready()
    expect(editor.options).to_have_count(0)


def test_two_windows_never_overwrite_each_other(studio, open_page):
    offline = ["ERR_INTERNET_DISCONNECTED", "409"]
    one = open_page(studio, expected=offline).open_new()
    two = open_page(studio)
    two.open(one.project)
    # The first is cut off while the second writes.
    one.page.context.set_offline(True)
    one.draw_path([(60, 200), (120, 200)])
    one.draw_path([(60, 220), (120, 220)])
    two.draw_path([(60, 60), (120, 60)])
    two.wait_for_instructions(1)
    one.page.context.set_offline(False)
    keep, take = one.button("Keep mine"), one.button("Take theirs")
    expect(keep).to_be_visible(timeout=40_000)
    expect(take).to_be_visible()
    keep.click()
    one.wait_for_instructions(2)
    # The second had nothing unsaved: it follows. What it had is among the versions.
    expect(two.options).to_have_count(2)
    versions = studio.get(f"/projects/{one.project}/versions")
    assert {1, 2} <= {version["num_instructions"] for version in versions}


def test_a_full_disk_is_said_and_nothing_is_lost(own_studio, open_page, tmp_path):
    flag = tmp_path / "full"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(FULL.format(flag=str(flag)))
    server = own_studio(devices=(), environment={"PYTHONPATH": str(tmp_path / "site")})
    editor = open_page(server, expected=["507"]).open_new()
    editor.draw_path([(60, 60), (120, 60)])
    kept = editor.wait_for_instructions(1)
    flag.touch()
    editor.draw_path([(60, 120), (120, 120)])
    expect(editor.page.get_by_text(re.compile("disk|space", re.I)).first).to_be_visible()
    assert editor.stored_instructions() == kept
    flag.unlink()
    editor.page.get_by_role("button", name=re.compile("again|retry", re.I)).first.click()
    editor.wait_for_instructions(2)


def test_an_exported_ati_file_is_read_back_with_the_same_points(editor, tmp_path):
    editor.draw_path([(60, 60), (120, 90), (200, 60)])
    editor.draw_path([(60, 200), (200, 210)])
    editor.wait_for_instructions(2)
    drawn = editor.compiled(tmp_path)
    editor.button("Export").click()
    dialog = editor.page.get_by_role("dialog")
    dialog.get_by_label("Format").select_option("ati")
    with editor.page.expect_download() as download:
        dialog.get_by_role("button", name="Save the file").click()
    saved = tmp_path / download.value.suggested_filename
    download.value.save_as(saved)
    found = read_tracks(saved, size=drawn.size)
    assert found.num_tracks == drawn.num_tracks == 2
    # ATI's files always hold 121 frames at 24 a second; the last place is held.
    assert found.num_frames == 121
    times = np.minimum(np.arange(121) * drawn.fps / 24, drawn.num_frames - 1)
    np.testing.assert_allclose(found.points, drawn.at(times).points, atol=0.2)


def test_a_motion_file_is_dropped_onto_the_editor(editor):
    from motionloom.examples_data import example

    text = example("cat")[1].read_text()
    count = len(json.loads(text)["instructions"])
    editor.page.evaluate(
        """([name, text]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([text], name, { type: "application/json" }));
          const target = document.querySelector('[role=application]') ?? document.body;
          for (const type of ["dragenter", "dragover", "drop"])
            target.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }""",
        [Path("cat.motion.json").name, text],
    )
    confirm = editor.page.get_by_role("dialog").get_by_role("button", name=re.compile("^(Import|Add)"))
    until(lambda: editor.options.count() == count or confirm.count(), 15, "nothing was imported")
    if confirm.count():
        confirm.last.click()
    expect(editor.options).to_have_count(count)
    editor.wait_for_instructions(count)
