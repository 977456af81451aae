"""From the drawing to the video, whatever dies on the way."""

import os
import re
import signal

import pytest
from playwright.sync_api import expect
from studio_driver import until

from motionloom.media import Clip
from motionloom.models.catalog import find_model

pytestmark = pytest.mark.slow

PLAYS = "v => v.videoWidth > 0 && v.currentTime > 0.1"


def need_nano():
    if not find_model("nano").installed:
        pytest.skip("the weights of nano are not in this checkout")


def generate(editor, model="nano", steps=None):
    """The panel filled in, and its button."""
    editor.tab("Generate")
    choose_model(editor, model)
    if steps is not None:
        editor.fill("Steps", str(steps))
    editor.button("Generate").click()


def choose_model(editor, name):
    field = editor.page.get_by_label("Model", exact=True).first
    field.select_option(value=name)


def play_result(editor):
    """The finished video, seen to play."""
    editor.tab("Results")
    expect(editor.results).not_to_have_count(0, timeout=60_000)
    editor.results.first.get_by_role("button", name="Play").first.click()
    video = editor.page.get_by_label("Result video").first
    expect(video).to_be_visible()
    video.evaluate("v => v.play()")
    until(lambda: video.evaluate(PLAYS), 20, "the video does not play")
    return video


def test_nano_makes_a_video_while_its_progress_is_seen(editor, studio, tmp_path):
    need_nano()
    editor.draw_path([(200, 160), (260, 160)])
    editor.wait_for_instructions(1)
    generate(editor, steps=6)
    job = editor.jobs.first
    bar = job.get_by_role("progressbar")
    expect(bar).to_be_visible()
    seen = set()

    def done():
        seen.update(bar.evaluate_all("bars => bars.map((bar) => bar.position)"))
        return len([each for each in studio.results() if each["project"] == editor.project]) == 1

    until(done, 240, "no result")
    assert len([share for share in seen if 0 < share < 1]) >= 3, f"progress was not seen: {seen}"
    video = play_result(editor)
    (result,) = [each for each in studio.results() if each["project"] == editor.project]
    assert video.evaluate("v => v.videoWidth") == result["width"]
    until(lambda: studio.get(f"/results/{result['id']}")["measured"], 120, "it was not measured")
    file = tmp_path / "video.mp4"
    file.write_bytes(studio.request("GET", f"/results/{result['id']}/video"))
    clip = Clip.load(file)
    assert clip.num_frames == result["num_frames"]
    assert clip.provenance["parameters"]["seed"] == result["seed"]


def test_a_result_is_downloaded_compared_deleted_and_edited_again(editor, studio):
    editor.draw_path([(200, 160), (230, 160)])
    editor.wait_for_instructions(1)
    for seed in ("1", "2"):
        editor.tab("Generate")
        editor.fill("Seed", seed)
        generate(editor, "warp")
    mine = lambda: [each for each in studio.results() if each["project"] == editor.project]  # noqa: E731
    until(lambda: len(mine()) == 2, 120, "not both were made")
    editor.tab("Results")
    expect(editor.results).to_have_count(2)
    play_result(editor)
    editor.page.keyboard.press("Escape")
    before = editor.address()
    editor.results.first.get_by_role("button", name="Edit this again").click()
    until(lambda: editor.address() != before, 10, "no project was made of it")
    editor.wait_until_ready()
    editor.tab("Motion")
    expect(editor.options).to_have_count(1)


def test_a_waiting_job_is_cancelled_and_retried(own_studio, open_page):
    server = own_studio(devices=())
    editor = open_page(server).open_new()
    editor.draw_path()
    editor.wait_for_instructions(1)
    generate(editor, "warp")
    editor.tab("Generate")
    expect(editor.jobs).to_have_count(1)
    editor.jobs.first.get_by_role("button", name="Cancel").click()
    until(lambda: server.jobs()[0]["state"] == "cancelled", what="it was not cancelled")
    editor.jobs.first.get_by_role("button", name="Retry").click()
    until(lambda: [job["state"] for job in server.jobs()].count("queued") == 1, what="it was not retried")


def test_waiting_jobs_are_dragged_into_another_order(own_studio, open_page):
    server = own_studio(devices=())
    editor = open_page(server, viewport={"width": 1280, "height": 1200}).open_new()
    editor.tab("Generate")
    choose_model(editor, "warp")
    editor.fill("Videos", "3")
    editor.button("Generate").click()
    expect(editor.jobs).to_have_count(3)
    seeds = lambda: [job["seed"] for job in sorted(server.jobs(), key=lambda job: job["position"])]  # noqa: E731
    assert seeds() == [0, 1, 2]
    editor.jobs.nth(2).drag_to(editor.jobs.nth(0))
    until(lambda: seeds() == [2, 0, 1], 10, "the last was not dragged to the front")
    expect(editor.jobs.first).to_contain_text("seed 2")
    editor.jobs.nth(0).drag_to(editor.jobs.nth(1))
    until(lambda: seeds() == [0, 2, 1], 10, "the first was not dragged down")
    editor.jobs.nth(2).get_by_role("button", name="Move up").click()
    until(lambda: seeds() == [0, 1, 2], 10, "the button moved nothing")


def test_two_results_are_compared_on_one_clock_and_one_is_deleted_and_back(editor, studio):
    editor.draw_path([(200, 160), (230, 160)])
    editor.wait_for_instructions(1)
    editor.tab("Generate")
    choose_model(editor, "warp")
    editor.fill("Videos", "2")
    editor.button("Generate").click()
    editor.tab("Results")
    expect(editor.results).to_have_count(2, timeout=120_000)
    for number in (0, 1):
        editor.results.nth(number).get_by_role("button", name="Compare").click()
    dialog = editor.page.get_by_role("dialog", name="Compare")
    videos = dialog.locator("video")
    ready = "videos => videos.length === 2 && videos.every((video) => video.readyState >= 2)"
    until(lambda: videos.evaluate_all(ready), 30, "the videos are not there")
    dialog.get_by_role("button", name="One frame forward").click()
    expect(dialog.get_by_role("slider", name="Position")).to_have_value("1")
    times = videos.evaluate_all("videos => videos.map((video) => video.currentTime)")
    assert times[0] == pytest.approx(times[1], abs=0.5 / 16)
    assert times[0] == pytest.approx(1.5 / 16, abs=0.5 / 16)
    editor.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    editor.results.first.get_by_role("button", name="Delete result").click()
    expect(editor.results).to_have_count(1)
    editor.page.get_by_role("button", name="Undo").last.click()
    expect(editor.results).to_have_count(2)


def test_a_killed_worker_is_replaced_and_the_job_done(own_studio, open_page):
    need_nano()
    server = own_studio()
    editor = open_page(server).open_new()
    editor.draw_path([(200, 160), (230, 160)])
    editor.wait_for_instructions(1)
    generate(editor, steps=12)
    until(lambda: server.jobs() and server.jobs()[0]["step"] >= 2, 120, "it did not begin")
    for pid in server.worker_pids():
        os.kill(pid, signal.SIGKILL)
    until(lambda: server.jobs()[0]["state"] == "done", 240, "it was not done")
    assert len(server.results()) == 1
    play_result(editor)


def test_a_killed_server_is_waited_for_and_the_job_done(own_studio, open_page):
    need_nano()
    server = own_studio()
    editor = open_page(server, expected=["ERR_CONNECTION", "Failed to load resource", "ERR_INCOMPLETE"]).open_new()
    editor.draw_path([(200, 160), (230, 160)])
    editor.wait_for_instructions(1)
    generate(editor, steps=12)
    until(lambda: server.jobs() and server.jobs()[0]["step"] >= 2, 120, "it did not begin")
    workers = server.worker_pids()
    server.kill()
    expect(editor.page.get_by_text(re.compile("does not answer|offline", re.I)).first).to_be_visible(timeout=20_000)
    # Drawing goes on meanwhile.
    editor.draw_path([(60, 60), (120, 60)])
    expect(editor.canvas).to_be_visible()
    until(lambda: not [pid for pid in workers if alive(pid)], 30, "a worker outlived its server")
    server.start()
    editor.wait_for_instructions(2, 40)
    until(lambda: server.jobs()[0]["state"] == "done", 240, "the job was not done")
    assert len(server.results()) == 1
    expect(editor.page.get_by_text(re.compile("does not answer", re.I))).to_have_count(0, timeout=20_000)
    play_result(editor)


def alive(pid):
    import psutil

    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
