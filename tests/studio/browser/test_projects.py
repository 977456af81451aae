"""Projects: nothing drawn is lost, by reloading, by two windows, by a full disk; files go in and out."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
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


def hand_over(page, files, kind):
    """Files as the clipboard (``paste``) or the mouse (``drop``) gives them: (name, type, content)."""
    encoded = [[name, media, base64.b64encode(content).decode()] for name, media, content in files]
    page.evaluate(
        """([files, kind]) => {
          const transfer = new DataTransfer();
          for (const [name, type, content] of files)
            transfer.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name, { type }));
          if (kind === "paste")
            return window.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
          for (const type of ["dragenter", "dragover", "drop"])
            document.body.dispatchEvent(
              new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
        }""",
        [encoded, kind],
    )


def test_a_pasted_picture_becomes_a_project(studio, open_page):
    editor = open_page(studio)
    expect(editor.button("New project")).to_be_visible()
    buffer = io.BytesIO()
    Image.new("RGBA", (96, 64), (200, 80, 40, 128)).save(buffer, "PNG")
    hand_over(editor.page, [("image.png", "image/png", buffer.getvalue())], "paste")
    editor.wait_until_ready()
    editor.project = re.search(r"[0-9a-f]{16}", editor.address())[0]
    stored = editor.stored()
    assert (stored["width"], stored["height"]) == (96, 64)
    assert stored["name"].startswith("Pasted at")


def test_what_is_no_photograph_is_refused_by_its_name(studio, open_page):
    editor = open_page(studio, expected=["413", "415"])
    page = editor.page
    expect(editor.button("New project")).to_be_visible()
    before = len(studio.get("/projects"))
    hand_over(page, [("notes.txt", "text/plain", b"hello")], "drop")
    expect(page.get_by_text("“notes.txt” is not a photograph")).to_be_visible()
    hand_over(page, [("false.jpg", "image/jpeg", b"<svg onload=alert(1)>")], "drop")
    expect(page.get_by_text("“false.jpg”: not a picture the studio reads")).to_be_visible()
    buffer = io.BytesIO()
    Image.new("1", (10_000, 6_000)).save(buffer, "PNG")
    hand_over(page, [("huge.png", "image/png", buffer.getvalue())], "drop")
    expect(page.get_by_text("“huge.png”: 10000x6000 is 60 million pixels")).to_be_visible()
    assert len(studio.get("/projects")) == before


def test_an_older_version_comes_back_and_the_newer_one_stays(editor):
    editor.draw_path([(60, 60), (120, 60)])
    editor.wait_for_instructions(1)
    editor.draw_path([(60, 120), (120, 120)])
    editor.wait_for_instructions(2)
    editor.button("More").focus()
    editor.page.keyboard.press("Enter")
    editor.page.keyboard.press("Enter")
    versions = editor.page.get_by_role("list", name="Versions").get_by_role("button")
    versions.filter(has_text="1 instruction").first.click()
    editor.page.get_by_role("button", name=re.compile("^Go back to version")).click()
    expect(editor.options).to_have_count(1)
    editor.wait_for_instructions(1)
    kept = editor.server.get(f"/projects/{editor.project}/versions")
    assert 2 in {version["num_instructions"] for version in kept}
    # Going on from there is saved on top of it.
    editor.draw_path([(60, 180), (120, 180)])
    editor.wait_for_instructions(2)


def test_a_large_motion_that_never_reached_the_server_comes_back(own_studio, open_page):
    server = own_studio(devices=())
    offline = ["ERR_CONNECTION", "Failed to load resource", "ERR_INCOMPLETE"]
    editor = open_page(server, expected=offline).open_new()
    server.kill()
    # Larger than localStorage takes.
    editor.page.evaluate(
        """() => {
          const points = (k) => Array.from({ length: 700 }, (_, i) =>
            ({ x: 100.123456 + 50 * Math.sin(i / 9 + k), y: 100.654321 + 60 * Math.cos(i / 14 + k) }));
          motionloom.editor.getState().addAll(
            Array.from({ length: 200 }, (_, k) => ({ kind: "path", points: points(k) })), "Many");
        }"""
    )
    kept = """() => new Promise((resolve) => {
      const opening = indexedDB.open("motionloom", 1);
      opening.onsuccess = () => {
        const asked = opening.result.transaction("unsaved").objectStore("unsaved").count();
        asked.onsuccess = () => { opening.result.close(); resolve(asked.result); };
      };
    })"""
    until(lambda: editor.page.evaluate(kept) == 1, 30, "it was not kept in the browser")
    window = editor.page.context
    editor.page.close()
    server.start()
    again = open_page(server, context=window, expected=offline).open(editor.project)
    again.button("Bring them back").click()
    again.wait_for_instructions(200, 60)
    until(lambda: again.page.evaluate(kept) == 0, 20, "what is saved was kept on")


def test_the_token_is_asked_for_and_work_goes_on_when_it_is_lost(own_studio, open_page):
    token = "a-token-of-forty-characters-for-the-tests"
    server = own_studio(devices=(), flags=("--host", "0.0.0.0", "--token", token))
    editor = open_page(server, expected=["401"])
    field = editor.page.get_by_role("textbox", name="Token")
    field.fill("guessed")
    field.press("Enter")
    expect(editor.page.get_by_text("This is not the server's token")).to_be_visible()
    field.fill(token)
    field.press("Enter")
    editor.page.get_by_role("button", name=re.compile("Start from Cat")).click()
    editor.wait_until_ready()
    before = editor.options.count()
    editor.page.context.clear_cookies()
    editor.canvas.focus()
    editor.page.keyboard.press("Control+a")
    editor.page.keyboard.press("Control+d")
    field.fill(token)
    field.press("Enter")
    expect(editor.page.get_by_role("dialog")).to_have_count(0)
    expect(editor.options).to_have_count(2 * before)
    expect(editor.page.get_by_text("Saved", exact=True)).to_be_visible()


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
