"""The timeline, the clock, and previews at once."""

import re
import time

import pytest
from playwright.sync_api import expect
from studio_driver import until

pytestmark = pytest.mark.slow


def test_a_path_is_timed_by_its_bar_and_by_its_length(editor):
    editor.click_path()
    editor.wait_for_instructions(1)
    start = editor.timeline.get_by_role("slider", name="Path 1 start")
    end = editor.timeline.get_by_role("slider", name="Path 1 end")
    start.focus()
    for _ in range(5):
        editor.page.keyboard.press("ArrowRight")
    until(lambda: editor.stored_instructions()[0].get("start") == 5, what="the start was not stored")
    end.focus()
    for _ in range(3):
        editor.page.keyboard.press("ArrowLeft")
    frames = editor.stored()["motion"]["num_frames"]
    until(lambda: editor.stored_instructions()[0].get("end") == frames - 1 - 3, what="the end was not stored")
    box = end.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    editor.page.mouse.move(*middle)
    editor.page.mouse.down()
    editor.page.mouse.move(middle[0] - 80, middle[1], steps=8)
    editor.page.mouse.up()
    until(lambda: editor.stored_instructions()[0]["end"] < frames - 8, what="the end was not dragged")
    assert editor.stored_instructions()[0]["end"] == round(editor.stored_instructions()[0]["end"])
    editor.fill("Frames", "81")
    until(lambda: editor.stored()["motion"]["num_frames"] == 81)
    editor.fill("Frames per second", "24")
    until(lambda: editor.stored()["motion"]["fps"] == 24)


def test_playing_moves_the_playhead_at_the_rate_of_the_motion(editor):
    editor.draw_path()
    slider = editor.timeline.get_by_role("slider", name="Frame", exact=True)

    def frame():
        return float(slider.get_attribute("aria-valuenow"))

    slider.focus()
    editor.page.keyboard.press("Home")
    assert frame() == 0
    editor.page.keyboard.press("ArrowRight")
    assert frame() == 1
    editor.page.keyboard.press("Home")
    editor.button("Play").click()
    until(lambda: frame() > 1)
    begun, first = time.monotonic(), frame()
    time.sleep(1.0)
    moved, seconds = frame() - first, time.monotonic() - begun
    editor.button("Pause").click()
    stopped = frame()
    # 16 frames a second, as far as a busy machine shows them.
    assert moved == pytest.approx(16 * seconds, abs=6)
    time.sleep(0.2)
    assert frame() == stopped


def test_a_preview_appears_while_drawing_and_follows_the_playhead(editor):
    editor.draw_path()
    editor.switch("Preview").click()
    video = editor.page.locator("video").first
    expect(video).to_be_attached(timeout=20_000)
    until(lambda: video.evaluate("v => v.readyState >= 2 && v.videoWidth > 0"), 20, "no preview appeared")
    first = video.evaluate("v => v.currentSrc")
    editor.draw_path([(100, 250), (200, 250)])
    until(lambda: video.evaluate("v => v.currentSrc") != first, 20, "the preview did not follow the edit")
    until(lambda: video.evaluate("v => v.readyState >= 2"), 20)
    slider = editor.timeline.get_by_role("slider", name="Frame", exact=True)
    slider.focus()
    editor.page.keyboard.press("End")
    until(lambda: video.evaluate("v => v.duration - v.currentTime < 0.3"), 10, "it did not go to the last frame")
    editor.switch("Preview").click()
    expect(editor.switch("Preview")).not_to_be_checked()


def test_what_the_model_receives_is_shown_and_flagged(editor):
    editor.draw_path([(200, 160), (420, 160)])
    editor.draw_path([(200, 200), (5, 200)])
    editor.switch("Received").click()
    panel = editor.page.get_by_text(re.compile(r"\d+ tracks?")).first
    expect(panel).to_be_visible(timeout=20_000)
