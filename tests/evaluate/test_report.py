from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from motionloom.errors import FileFormatError, InputError
from motionloom.evaluate.measurement import Measurement, UsedWeights
from motionloom.evaluate.report import companions, write_report
from motionloom.evaluate.report.columns import Results
from motionloom.evaluate.report.html import embedded
from motionloom.evaluate.report.media import worst_cases
from motionloom.evaluate.report.sources import read_runs
from motionloom.evaluate.run import Row, Run, save_tracks, write_json
from motionloom.media import Clip
from motionloom.tracks.trackers import FLOOR
from motionloom.tracks.tracks import Tracks

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><!-- {{script}} ' \" & \u2028"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def epe(value, **other):
    return Measurement(
        "epe", value, "px", "lower", **{"variant": "visible points; tracker offline", "resolution": (48, 64), **other}
    )


def rows(values, name="epe", seeds=(0,), **other):
    """One row for each case and seed; None has failed."""
    return tuple(
        Row(f"case{i}", seed, "failed", error="no such file")
        if value is None
        else Row(
            f"case{i}", seed, "done", category=("zoom", "curve")[i % 2], measurements=(epe(value + seed, **other),)
        )
        for i, value in enumerate(values)
        for seed in seeds
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of three cases with videos, one of them damaged, one missing metric, hostile names and captions."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    still = rng.integers(0, 255, (48, 64, 3), np.uint8)
    truth = np.stack([np.roll(still, 2 * t, axis=1) for t in range(9)])
    Clip(truth, 8.0).save(folder / "true.mp4")
    points = np.stack([np.array([[10.0 + 2 * t, 20.0], [30.0 + 2 * t, 30.0]]) for t in range(9)]).astype(np.float32)
    wanted = Tracks(points, np.ones((9, 2), np.bool_), (48, 64), 8.0)
    found = []
    for number, label in enumerate((HOSTILE, "still")):
        own = folder / f"run{number}"
        own.mkdir()
        made: list[Row] = []
        for case in range(3):
            video = own / f"{case}.mp4"
            if (number, case) == (1, 2):
                video.write_bytes(b"no video at all")
            else:
                Clip(truth if number == 0 else np.repeat(still[None], 9, 0), 8.0).save(video)
            measured = wanted if number == 0 else Tracks(points[:1].repeat(9, 0), wanted.visible, (48, 64), 8.0)
            save_tracks(own / f"{case}.safetensors", wanted, measured)
            error = [None, *(float(t * (number + 1) + case) for t in range(1, 9))]
            made.append(
                Row(
                    f"case{case} {HOSTILE}",
                    0,
                    "done",
                    category="translation",
                    prompt=HOSTILE,
                    video=video.name,
                    reference="../true.mp4",
                    tracks=f"{case}.safetensors",
                    seconds=1.5,
                    measurements=(
                        epe(float(np.mean(error[1:])), curve=tuple(error), n=16, frames=9),
                        Measurement("psnr", 20.0 + number + case, "dB", "higher"),
                        Measurement("epe_256", 4.0 + case, "px", "lower"),
                        Measurement("mine", 0.5, "", "higher"),
                        Measurement("lpips", None, "", "lower", reason=f"alex.pth is not here {HOSTILE}"),
                        Measurement("gms_dissim", 0.2, "", "lower", fallback=True),
                    ),
                )
            )
        made.append(Row("late", 0, "failed", error=HOSTILE))
        totals = (
            Measurement("fid", 12.5 + number, better="lower", n=27, variant="unbiased covariance", note="27 axes"),
        )
        facts = {"model": HOSTILE, "parameters": {"steps": 4}, "tracker": "offline", "command": ["motionloom", HOSTILE]}
        found.append(Run(label, tuple(made), totals, facts, own))
    return found


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory):
    return write_report(runs, tmp_path_factory.mktemp("out") / "report.html", title=f"Title {HOSTILE}")


class Parsed(HTMLParser):
    """Elements with their attributes, and the text of scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.open = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.lasttag == "script" and data.strip():
            self.scripts[-1] += data


def data_of(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


@pytest.mark.slow
def test_the_page_stands_alone(page):
    text = page.read_text(encoding="utf-8")
    parsed = Parsed(text)
    tags = [tag for tag, _ in parsed.elements]
    assert tags.count("script") == 2
    assert not {"img", "iframe", "object", "embed", "base", "form"} & set(tags)
    for _, attributes in parsed.elements:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    outside = text.replace(embedded(data_of(text)), "")
    assert set(re.findall(r"https?://[^'\"\s]+", outside)) <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in outside
    assert "url(" not in outside
    policy = next(attributes["content"] for _, attributes in parsed.elements if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


def test_hostile_text_stays_text(page):
    text = page.read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert "<img" not in text
    data = data_of(text)
    assert data["runs"][0]["label"] == HOSTILE
    assert data["cases"][0]["prompt"] == HOSTILE
    assert data["title"].endswith(HOSTILE)


def test_embedded_json_round_trips():
    value = {"a": [HOSTILE, "</SCRIPT>", "\u2029", 1.5, None, "ü 漢字"]}
    assert json.loads(embedded(value)) == value
    assert not re.search(r"[<>&\u2028\u2029]", embedded(value))
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded({"a": float("nan")})


def test_everything_is_there(page, runs):
    data = data_of(page.read_text(encoding="utf-8"))
    assert [run["label"] for run in data["runs"]] == [run.name for run in runs]
    assert len(data["cases"]) == 4
    assert [column["name"] for column in data["columns"]] == ["epe", "epe_256", "psnr", "gms_dissim", "lpips", "mine"]
    assert data["columns"][0]["floor"] == [FLOOR[128].median, FLOOR[128].mean]  # that of the nearest size measured
    assert data["columns"][3]["fallback"] is True
    first, second = data["summary"][0]
    assert first["mean"] == pytest.approx(np.mean([4.5, 5.5, 6.5]))
    assert (first["n"], first["missing"], first["mark"]) == (3, 1, "best")
    assert first["reasons"] == [[f"failed: {HOSTILE}", 1]]
    assert "mark" not in second
    assert data["summary"][4][0]["missing"] == 4
    assert data["differences"][0]["columns"][0]["mean"] == pytest.approx(4.5)
    assert data["by_category"][0][2][1]["mean"] == pytest.approx(22.0)
    assert data["totals"][0]["cells"][1]["value"] == 13.5
    assert data["totals"][0]["cells"][1]["note"] == "27 axes"
    assert data["curves"][0]["runs"][0]["mean"][1:3] == [2.0, 3.0]
    assert data["curves"][0]["runs"][0]["mean"][0] is None
    assert len(data["failures"]) == 2
    assert ["parameters.steps", "4"] in data["runs"][0]["facts"]


def test_videos(page):
    data = data_of(page.read_text(encoding="utf-8"))
    worst = data["media"][0]
    assert data["cases"][worst["case"]]["name"].startswith("case2")
    truth, first, second = worst["panels"]
    assert (truth["run"], truth["frames"], truth["width"]) == (None, 9, 288)
    assert first["value"] == 6.5
    assert "not a video" in second["error"]


def test_embedded_videos_decode(page, tmp_path):
    import base64

    data = data_of(page.read_text(encoding="utf-8"))
    panel = data["media"][-1]["panels"][1]
    video = tmp_path / "panel.webm"
    video.write_bytes(base64.b64decode(panel["video"]))
    clip = Clip.load(video)
    assert (clip.num_frames, clip.size) == (9, (216, 288))
    assert base64.b64decode(panel["poster"]).startswith(b"\x89PNG")
    # The way asked for is drawn in green.
    green = (clip.frames[-1].astype(int) @ [-1, 2, -1]).max()
    assert green > 150


def test_a_video_is_shown_without_tracks_that_cannot_be_drawn(runs, tmp_path):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no tracks at all")
    row = replace(runs[0].rows[0], tracks=str(bad))
    page = write_report([Run("one", (row,), folder=runs[0].folder)], tmp_path / "r.html")
    truth, panel = data_of(page.read_text(encoding="utf-8"))["media"][0]["panels"]
    assert panel["video"]
    assert panel["note"].startswith("without its tracks: ")
    assert "bad.safetensors: not a pair of tracks" in panel["note"]
    assert truth["note"] is None


@pytest.mark.slow
def test_size_is_bounded(runs, tmp_path):
    whole = write_report(runs, tmp_path / "whole.html", cases=1)
    media = data_of(whole.read_text(encoding="utf-8"))["media"]
    assert len(media) == 1
    room = sum(len(panel.get("video", "")) + len(panel.get("poster", "")) for panel in media[0]["panels"])
    small = write_report(runs, tmp_path / "small.html", cases=1, media_bytes=room - 1)
    assert data_of(small.read_text(encoding="utf-8"))["media"] == []
    none = write_report(runs, tmp_path / "none.html", media_bytes=0)
    assert none.stat().st_size < 200_000


def test_json_and_csv(page, runs):
    assert [path.name for path in companions(page)] == ["report.json", "report.csv", "report.summary.csv"]
    record = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert [len(run["rows"]) for run in record["runs"]] == [4, 4]
    again = Row.from_record(record["runs"][0]["rows"][0])
    assert again.measurements == runs[0].rows[0].measurements
    assert (page.parent / record["runs"][0]["rows"][0]["video"]).resolve() == runs[0].folder / "0.mp4"
    with page.with_suffix(".csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2 * (3 * 6 + 1 + 1)
    assert lines[0]["metric"] == "epe"
    assert float(lines[0]["value"]) == 4.5
    assert lines[4]["reason"].startswith("alex.pth")
    assert sum(line["status"] == "failed" for line in lines) == 2
    with page.with_name("report.summary.csv").open(newline="", encoding="utf-8") as file:
        wide = list(csv.DictReader(file))
    assert float(wide[1]["psnr"]) == 22.0
    assert wide[0]["epe [visible points; tracker offline] missing"] == "1"
    assert float(wide[1]["fid [unbiased covariance]"]) == 13.5


def test_formulas_are_defused_in_csv(tmp_path):
    run = Run("=cmd()", (Row("@a", 0, "done", measurements=(epe(1.0), Measurement("=own", 1.0))),))
    page = write_report([run], tmp_path / "r.html")
    line = page.with_suffix(".csv").read_text(encoding="utf-8").splitlines()[1]
    assert line.startswith("'=cmd(),'@a,")
    header = page.with_name("r.summary.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert "'=own" in header
    assert not any(name.startswith("=") for name in header)


def test_what_differs_stands_in_columns_of_its_own():
    made = [
        Row("a", 0, "done", measurements=(epe(1.0, variant=variant), Measurement("lpips", 0.1, weights=weights)))
        for variant, weights in (("visible", UsedWeights("alex", "aa")), ("all points", UsedWeights("alex", "bb")))
    ]
    results = Results([Run("one", (made[0],)), Run("other", (made[1],))])
    assert [column.name for column in results.columns] == ["epe", "epe", "lpips", "lpips"]
    assert results.cells[0, results.columns[1]].reasons() == {"not measured for this case": 1}
    assert results.columns[2].qualifiers == "alex aa"


def test_fallbacks_never_share_a_column():
    both = [
        Run(name, (Row("a", 0, "done", measurements=(Measurement("niqe", 5.0, fallback=fallback),)),))
        for name, fallback in (("one", False), ("other", True))
    ]
    assert len(Results(both).columns) == 2


def test_sizes_divide_only_what_runs_disagree_about():
    def run(name, *sizes):
        measured = [epe(float(i + 1), resolution=size) for i, size in enumerate(sizes)]
        return Run(name, tuple(Row(str(i), 0, "done", measurements=(each,)) for i, each in enumerate(measured)))

    mixed = Results([run("one", (48, 64), (96, 128)), run("other", (48, 64), (96, 128))])
    assert [column.size for column in mixed.columns] == [None]
    turned = Results([run("one", (48, 64)), run("other", (64, 48))])
    assert [column.size for column in turned.columns] == [None]
    apart = Results([run("one", (48, 64)), run("other", (96, 128))])
    assert [column.size for column in apart.columns] == [(48, 64), (96, 128)]
    assert apart.difference(0, 1, apart.columns[0]).mean is None


def test_missing_joins_the_column_it_would_have_been_in():
    weights = UsedWeights("alex", "aa")
    has = Row("a", 0, "done", measurements=(Measurement("lpips", 0.1, variant="v0.1", weights=weights),))
    lacks = Row("b", 0, "done", measurements=(Measurement("lpips", None, reason="too small"),))
    results = Results([Run("one", (has, lacks))])
    assert len(results.columns) == 1
    cell = results.cells[0, results.columns[0]]
    assert cell.reasons() == {"too small": 1}
    assert cell.estimate().mean == pytest.approx(0.1)


def test_means_can_be_pooled():
    made = tuple(
        Row(str(i), 0, "done", measurements=(epe(value, n=n),)) for i, (value, n) in enumerate([(1.0, 1), (4.0, 3)])
    )
    results = Results([Run("one", made)])
    cell = results.cells[0, results.columns[0]]
    assert cell.estimate().mean == 2.5
    assert cell.estimate(weighting="values").mean == pytest.approx(13 / 4)
    with pytest.raises(InputError, match="how many frames"):
        cell.estimate(weighting="frames")


def test_worst_cases_of_every_run_in_turn():
    results = Results([Run("one", rows([1, 9, 2, 3])), Run("other", rows([8, 1, 2, 7]))])
    assert [case for case, _ in worst_cases(results, 3)] == ["case1", "case0", "case3"]
    assert worst_cases(results, 2) == [("case1", [0]), ("case0", [1])]


def test_names_are_told_apart_and_double_rows_refused():
    assert Results([Run("a", rows([1])), Run("a", rows([1]))]).labels == ["a", "a 2"]
    with pytest.raises(InputError, match="'case0' with seed 0 is there twice"):
        Results([Run("a", rows([1]) * 2)])
    with pytest.raises(InputError, match="epe of 'a' is there twice"):
        Results([Run("a", (Row("a", 0, "done", measurements=(epe(1.0), epe(2.0))),))])
    with pytest.raises(InputError, match="found none"):
        Results([])


def test_arguments(tmp_path):
    run = Run("one", rows([1, 2]))
    with pytest.raises(InputError, match=r"expected \.html"):
        write_report([run], tmp_path / "report.pdf")
    with pytest.raises(InputError, match="expected a run: one"):
        write_report([run], tmp_path / "report.html", baseline="two")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("made", [(), rows([None, None]), rows([1.0])], ids=["no rows", "all failed", "one case"])
def test_odd_runs_still_have_a_page(made, tmp_path):
    data = data_of(write_report([Run("odd", made)], tmp_path / "r.html").read_text(encoding="utf-8"))
    assert len(data["cases"]) == len(made)


def test_warns_of_what_cannot_be_compared(tmp_path):
    one = Run("one", rows([1, 2]), facts={"tracker": "offline"})
    other = Run("other", rows([1, 2, 3]), facts={"tracker": "cotracker3"})
    said = " ".join(data_of(write_report([one, other], tmp_path / "r.html").read_text())["notices"])
    assert "different trackers" in said
    assert "2 in common" in said


def test_finding_runs(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        Run(name, rows([1])).save(tmp_path / name / "run.json")
    (tmp_path / "empty").mkdir()
    assert [run.name for run in read_runs([tmp_path])] == ["a", "b"]
    assert [run.name for run in read_runs([tmp_path / "b", tmp_path / "a" / "run.json"])] == ["b", "a"]
    (tmp_path / "going" / "rows").mkdir(parents=True)
    write_json(tmp_path / "going" / "rows" / "case0.seed-0.json", rows([4])[0].record())
    (going,) = read_runs([tmp_path / "going"])
    assert going.rows[0].value("epe") == 4
    assert going.facts["state"].startswith("not finished")
    with pytest.raises(FileFormatError, match=r"found no run\.json or results\.json"):
        read_runs([tmp_path / "empty"])


def test_command(tmp_path, capsys):
    import typer
    from typer.testing import CliRunner

    from motionloom.cli.bench_report import report

    Run("one", rows([1, 2, None])).save(tmp_path / "run.json")
    app = typer.Typer()
    app.command()(report)
    out = tmp_path / "page.html"
    done = CliRunner().invoke(app, [str(tmp_path), "-o", str(out), "--media", "0", "--title", "T"])
    assert done.exit_code == 0, done.output
    assert "1 run" in done.output
    assert out.exists()
    again = CliRunner().invoke(app, [str(tmp_path), "-o", str(out)])
    assert isinstance(again.exception, InputError)
    assert "exists already" in str(again.exception)


@pytest.mark.slow
def test_a_thousand_cases_of_five_runs(tmp_path):
    rng = np.random.default_rng(0)
    made = [Run(f"run{r}", rows(rng.exponential(2, 1000) + r, curve=tuple(map(float, range(49))))) for r in range(5)]
    page = write_report(made, tmp_path / "r.html", media_bytes=0)
    assert page.stat().st_size < 10_000_000


@pytest.mark.slow
def test_in_a_browser(page, tmp_path):
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    done = subprocess.run(
        [browser, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
         "--enable-logging=stderr", "--virtual-time-budget=4000", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert complaints == []
    parsed = Parsed(done.stdout)
    ids = {attributes.get("id") for _, attributes in parsed.elements}
    assert {"summary", "sets", "compare", "kinds", "scatter", "curves", "worst", "cases", "failures", "facts"} <= ids
    table = done.stdout[done.stdout.index('id="summary-table"') :]
    table = table[: table.index("</table>")]
    assert "5.50" in table
    places = [table.index(title) for title in ("Does it move as asked", "Is it like the true video", "Other metrics")]
    assert places == sorted(places)
    assert "epe_256" not in table  # folded: no one opened its group
    assert '<button class="link" data-group="0" aria-expanded="false">1 more</button>' in table
    assert "<img" not in done.stdout
    assert done.stdout.count("<video") >= 4
    assert "owned" not in re.search("<title>(.*?)</title>", done.stdout, re.S)[1].split("Title")[0]
