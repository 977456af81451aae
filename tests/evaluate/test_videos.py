import json
import os
from dataclasses import replace

import pytest

from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.run import Run
from motionloom.evaluate.suite import METRICS
from motionloom.evaluate.videos import evaluate_videos
from motionloom.scale.executors import executor


def measured(videos, **options) -> Run:
    beside = {"motion": videos / "motions", "reference": videos / "true"}
    return evaluate_videos(videos / "videos", videos / "out", beside=beside, metrics=["epe", "psnr"], **options)


def test_a_folder_of_videos(videos):
    seen = []
    run = measured(videos, on_progress=lambda done, total: seen.append((done, total)))
    assert [(row.case, row.status) for row in run.rows] == [("fast", "done"), ("slow", "done"), ("still", "done")]
    # Off by 0, 1 and 3 pixels per frame over frames 1 to 4.
    assert [row.value("epe") for row in run.rows] == pytest.approx([0, 2.5, 7.5], abs=0.3)
    assert run.rows[0].value("psnr") is None  # the same file twice
    assert 8 < run.rows[2].value("psnr") < run.rows[1].value("psnr") < 30
    assert seen[-1] == (3, 3)
    back = Run.load(videos / "out" / "results.json")
    assert back.rows == run.rows
    assert back.name == "videos"


def test_only_what_has_changed_is_measured_again(videos):
    measured(videos)
    rows = {path.name: path.stat().st_mtime_ns for path in (videos / "out" / "rows").iterdir()}
    measured(videos)
    assert rows == {path.name: path.stat().st_mtime_ns for path in (videos / "out" / "rows").iterdir()}
    os.replace(videos / "videos" / "still.mp4", videos / "videos" / "slow.mp4")
    (videos / "out" / "rows" / "fast.json").write_text("{")
    run = measured(videos)
    changed = {
        path.name for path in (videos / "out" / "rows").iterdir() if rows.get(path.name) != path.stat().st_mtime_ns
    }
    assert changed == {"slow.json", "fast.json"}
    assert [row.value("epe") for row in run.rows] == pytest.approx([0, 7.5], abs=0.3)
    evaluate_videos(videos / "videos", videos / "out", metrics=["motion_magnitude"])
    assert (
        json.loads((videos / "out" / "rows" / "fast.json").read_text())["measurements"][0]["name"] == "motion_magnitude"
    )


def test_what_lacked_weights_is_measured_when_they_come_and_nothing_else(videos, tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path / "models"))
    asked = []

    def look(evidence):
        asked.append("motion")
        return Measurement("motion_magnitude", 1.0)

    def learned(evidence):
        return Measurement("aesthetic", float(evidence.tools.path("laion-aesthetic").stat().st_size))

    for name, compute in (("motion_magnitude", look), ("aesthetic", learned)):
        monkeypatch.setitem(METRICS, name, replace(METRICS[name], compute=compute))
    monkeypatch.setitem(METRICS, "aesthetic", replace(METRICS["aesthetic"], weights=("laion-aesthetic",)))

    def measured() -> Run:
        return evaluate_videos(videos / "videos", videos / "out", metrics=["motion_magnitude", "aesthetic"])

    assert [row.value("aesthetic") for row in measured().rows] == [None] * 3
    assert measured().rows
    assert len(asked) == 3
    head = tmp_path / "models" / "metrics" / "sa_0_4_vit_l_14_linear.pth"
    head.parent.mkdir(parents=True)
    head.write_bytes(b"12345")
    after = measured()
    assert [row.value("aesthetic") for row in after.rows] == [5.0] * 3
    assert [row.value("motion_magnitude") for row in after.rows] == [1.0] * 3
    assert len(asked) == 3  # not again


def test_a_broken_video_does_not_stop_the_others(videos):
    (videos / "videos" / "slow.mp4").write_bytes(b"broken")
    run = measured(videos)
    assert [row.status for row in run.rows] == ["done", "failed", "done"]
    assert "slow.mp4" in run.rows[1].error


@pytest.mark.slow
def test_processes_measure_the_same(videos):
    inline = measured(videos)
    other = evaluate_videos(
        videos / "videos",
        videos / "other",
        beside={"motion": videos / "motions", "reference": videos / "true"},
        metrics=["epe", "psnr"],
        executor=executor("process", workers=2),
    )
    assert [row.measurements for row in other.rows] == [row.measurements for row in inline.rows]
