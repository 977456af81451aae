import json
import os
import re

import pytest

from motionloom.evaluate.report.groups import GROUPS


@pytest.fixture
def clips(folder, call):
    """clips/a.mp4 and b.mp4 of the warp model, which know their motion."""
    for name, frames in (("a", 9), ("b", 5)):
        done = call(
            "generate", "photo.png", "slide.motion.json", "-m", "warp", "-o", f"clips/{name}.mp4", "--frames", frames
        )
        assert done.code == 0, done.err
    return folder


@pytest.mark.slow
def test_one_clip_prints_its_numbers(clips, call):
    done = call("evaluate", "clips/a.mp4", "--metrics", "core")
    assert done.code == 0, done.err
    assert float(re.search(r"^epe +([\d.]+) +px", done.out, re.M)[1]) < 1.5
    assert re.search(r"^motion_magnitude +[\d.]+ +px/frame", done.out, re.M)
    assert re.search(r"niqe: .*192", done.err)  # 48x32 is too small for it, and it says so


@pytest.mark.slow
def test_a_clip_shows_the_main_numbers_by_what_they_ask(clips, call):
    done = call("evaluate", "clips/a.mp4")
    assert (done.code, done.err) == (0, "")
    titles = [line.rstrip() for line in done.lines if line.startswith(("Does", "Is it"))]
    assert titles == [GROUPS[0].title, GROUPS[2].title, GROUPS[3].title]  # there is no true video
    assert re.search(r"^  epe +[\d.]+ +px", done.out, re.M)
    assert "pck_16px" not in done.out
    shown = sum(line.startswith("  ") and not line.startswith("   ") for line in done.lines)
    more, without = map(int, re.findall(r"\d+", done.lines[-1]))
    whole = call("evaluate", "clips/a.mp4", "--all")
    assert "pck_16px" in whole.out
    assert more > 20
    assert without > 5
    assert sum(bool(re.match(r"[a-z]\w+ +-?[\d.e+-]+ ", line)) for line in whole.lines) == shown + more


@pytest.mark.slow
def test_a_folder_makes_a_report(clips, call):
    done = call("evaluate", "clips", "--metrics", "epe,motion_magnitude")
    assert done.code == 0, done.err
    assert done.lines[-1] == os.path.join("clips.evaluation", "report.html")
    assert "2 of 2 videos measured" in done.lines[-2]
    results = json.loads((clips / "clips.evaluation" / "results.json").read_text())
    assert [row["case"] for row in results["rows"]] == ["a", "b"]
    assert (clips / "clips.evaluation" / "report.html").read_text().lstrip().lower().startswith("<!doctype html>")


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_where_it_was(clips, call):
    assert call("evaluate", "clips", "--metrics", "motion_magnitude").code == 0
    out = clips / "clips.evaluation"
    for path in (out / "results.json", out / "report.html", out / "rows" / "b.seed-0.json"):
        path.unlink()
    before = (out / "rows" / "a.seed-0.json").stat().st_mtime_ns
    done = call("evaluate", "clips", "--metrics", "motion_magnitude")
    assert done.code == 0, done.err
    assert "2 of 2 videos measured" in done.lines[-2]
    assert (out / "rows" / "a.seed-0.json").stat().st_mtime_ns == before
    (clips / "photo.evaluation").mkdir()
    (clips / "photo.evaluation" / "diary.txt").write_text("dear")
    (clips / "photo.jsonl").write_text('{"video": "clips/a.mp4"}')
    assert "photo.evaluation" in call("evaluate", "photo.jsonl", "--metrics", "motion_magnitude").err  # not ours


def test_failures_are_named_and_the_exit_code_says_so(clips, call):
    (clips / "clips" / "c.mp4").write_bytes(b"broken")
    done = call("evaluate", "clips", "--metrics", "epe", "-o", "out")
    assert done.code == 1
    assert "c.mp4" in done.err
    assert "1 of 3 videos could not be measured" in done.err
    assert (clips / "out" / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "SOURCE: missing"),
        (("gone.mp4",), "no such file"),
        (("clips/a.mp4", "--metrics", "beauty"), "metrics: found 'beauty'"),
        (("clips/a.mp4", "--box", "1,2"), "--box: found '1,2'"),
        (("clips/a.mp4", "--box", "1,2,nan,4"), "--box: found '1,2,nan,4'"),
        (("clips/a.mp4", "--weights", "x"), "--weights: found 'x'"),
        (("clips/a.mp4", "--tracker", "eyes"), "eyes"),
        (("clips/a.mp4", "--executor", "magic"), "executor: found 'magic'"),
        (("clips/a.mp4", "-o", "photo.png"), "photo.png: is a file"),
        (("clips/a.mp4", "gone.json"), "gone.json"),
        (("photo.png",), "not a video"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(clips, call, arguments, message):
    done = call("evaluate", *arguments)
    assert done.code in (1, 2)
    assert message in done.err
    assert "Traceback" not in done.err


def test_the_list_names_metrics_and_networks(folder, call):
    done = call("evaluate", "--list")
    assert done.code == 0
    assert "epe" in done.out
    assert "clip-vit-base-patch32" in done.out


def test_the_list_stands_though_a_network_is_not_where_it_is_said_to_be(folder, call, monkeypatch):
    monkeypatch.setenv("MOTIONLOOM_WEIGHTS_DINO_VITB16", str(folder / "nowhere"))
    done = call("evaluate", "--list")
    assert done.code == 0
    assert "MOTIONLOOM_WEIGHTS_DINO_VITB16: dino-vitb16 at" in done.err
    assert "laion-aesthetic" in done.out
