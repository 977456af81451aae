from __future__ import annotations

import json
import re

import pytest

from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.metric import Metric
from motionloom.evaluate.report import write_report
from motionloom.evaluate.report.columns import Results
from motionloom.evaluate.report.groups import GROUPS, OTHERS, TITLES, group_of, main_metrics
from motionloom.evaluate.run import Row, Run
from motionloom.evaluate.statistics import holm
from motionloom.evaluate.suite import METRICS
from motionloom.tracks.trackers import FLOOR


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("epe_pessimistic", "Does it move as asked"),
        ("epe_flow_dis_256", "Is it like the true video"),
        ("me", "Does it move as asked"),
        ("me_norm", "Does it move as asked"),
        ("clip_i_fallback_hist", "Is it like the true video"),
        ("clip_i_temporal_fallback_hist_first_last", "Is it steady, and does it move at all"),
        ("subject_lost_fraction", "Does it move as asked"),
        ("subject_flow_tracked", "Is it steady, and does it move at all"),
        ("clip_text", "Does it look good and fit the words"),
        ("metric_of_mine", OTHERS),
        ("icy", OTHERS),
    ],
)
def test_groups(name, title):
    assert TITLES[group_of(name)] == title


def test_every_metric_of_videos_has_a_group_and_main_ones_stand_in_their_own():
    known = [name for name, metric in METRICS.items() if isinstance(metric, Metric)]
    assert [name for name in known if TITLES[group_of(name)] == OTHERS] == []
    for number, group in enumerate(GROUPS):
        for choice in group.main:
            assert [group_of(name) for name in choice.split()] == [number] * len(choice.split())


def test_stand_ins_take_the_place_of_what_has_no_value():
    assert main_metrics(["gms_dissim", "ssim", "epe", "psnr_video", "mine"]) == ["epe", "ssim", "gms_dissim", "mine"]
    assert main_metrics(["gms_dissim", "lpips_alex"]) == ["lpips_alex"]


def row(case, **values):
    measured = (Measurement(name, value, "px", "lower") for name, value in values.items())
    return Row(case, 0, "done", measurements=tuple(measured))


def test_order_of_columns():
    made = row("a", mine=1.0, ssim_gray_cr=1.0, psnr=1.0, pck_02=1.0, lpips_alex=1.0, objmc=1.0, epe=1.0)
    results = Results([Run("one", (made,))])
    names = [column.name for column in results.columns]
    assert names == ["epe", "objmc", "pck_02", "psnr", "lpips_alex", "ssim_gray_cr", "mine"]
    assert {column.name for column in results.main} == {"epe", "objmc", "psnr", "lpips_alex", "mine"}


def page_of(runs, path):
    text = write_report(runs, path, media_bytes=0).read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def test_main_metrics_are_corrected_for_their_own_number(tmp_path):
    def run(name, shift):
        return Run(name, tuple(row(f"c{i}", epe=i + shift, psnr=5.0 + i % 3, epe_256=2 * i + shift) for i in range(8)))

    found = page_of([run("one", 0.0), run("other", 1.0)], tmp_path / "r.html")
    names = [column["name"] for column in found["columns"]]
    assert [(column["name"], column["main"]) for column in found["columns"]] == [
        ("epe", True),
        ("epe_256", False),
        ("psnr", True),
    ]
    p = [each["p"] for each in found["differences"][0]["columns"]]
    assert p == pytest.approx([2 / 256, 2 / 256, 1.0])
    corrected = dict(zip(names, (each["p_holm"] for each in found["differences"][0]["columns"]), strict=True))
    assert corrected["epe"] == pytest.approx(2 * 2 / 256)
    assert corrected["epe_256"] == pytest.approx(holm(p)[1]) == pytest.approx(3 * 2 / 256)


def test_the_floor_of_the_tracker_is_that_of_these_true_videos(tmp_path):
    names = {"epe": 2.0, "epe_trackable": 1.0, "epe_of_reference": 0.5}
    tracked = tuple(
        Row(
            f"c{i}",
            0,
            "done",
            measurements=tuple(
                Measurement(name, value + i, "px", "lower", "tracker offline", resolution=(128, 224))
                for name, value in names.items()
            ),
        )
        for i in range(3)
    )
    runs = [Run(name, tracked) for name in ("one", "other")]
    found = {column["name"]: column for column in page_of(runs, tmp_path / "r.html")["columns"]}
    assert found["epe"]["floor"] == [FLOOR[128].median, FLOOR[128].mean]
    assert found["epe"]["floor_true"] == pytest.approx(1.5)
    assert found["epe_trackable"]["floor"] == [FLOOR[128].median] * 2
    assert found["epe_trackable"]["floor_true"] is None
    assert found["epe_of_reference"]["floor"] is None
    masks = page_of([Run("m", (row("c", objmc_masks=1.0),))], tmp_path / "m.html")
    assert masks["columns"][0]["floor"] is None
