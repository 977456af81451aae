import hashlib
import json
import runpy
import shutil
from pathlib import Path

import pytest

from motionloom.errors import InputError, MotionloomError
from motionloom.evaluate.bench import Candidate
from motionloom.evaluate.movebench import open_benchmark
from motionloom.evaluate.run import Run, read_json
from motionloom.media import Clip, read_provenance
from motionloom.models.parameters import Parameters
from motionloom.scale.executors import executor


@pytest.mark.slow
def test_a_run_leaves_videos_rows_and_numbers_and_a_second_one_nothing_new(going):
    runs = going.run("warp", "still=warp:unguided", report=True)
    assert going.progress[0] == (0, 8)
    assert going.progress[-1] == (8, 8)
    assert [run.name for run in runs] == ["warp", "still"]
    ids = [case.id for case in open_benchmark(going.bench)]
    for run, label in zip(runs, ("warp", "still"), strict=True):
        assert [row.case for row in run.rows] == ids
        assert {row.status for row in run.rows} == {"done"}
        row = run.rows[0]
        video = going.out / label / "videos" / "seed-0" / f"{row.case}.mp4"
        assert run.file(row.video) == video
        assert (row.facts["size"], row.facts["num_frames"], row.seed) == ([32, 48], 5, 0)
        assert row.facts["video_sha256"] == hashlib.sha256(video.read_bytes()).hexdigest()
        assert run.file(row.reference).resolve() == (going.bench / "en" / "video" / f"{row.case}.mp4").resolve()
        assert row.category in ("translation", "rotation", "zoom", "curve")
        assert row.value("psnr") > 5
        assert run.totals[0].name == "fid_fallback_dct"
        assert run.totals[0].value is not None
        assert Run.load(going.out / label / "run.json").rows == run.rows
    assert runs[1].rows[0].value("temporal_flickering") > 0.99 > runs[0].rows[0].value("temporal_flickering")
    assert (going.out / "report.html").stat().st_size > 10_000
    assert len(list((going.out / "reference-features" / "fid_fallback_dct").iterdir())) == 4, "once for both"
    facts = runs[1].facts
    assert (facts["model"], facts["method"], facts["guided"], facts["done"]) == ("warp", "unguided", False, 4)
    assert facts["benchmark"]["mode"] == "single"

    before = {**going.times("*/videos/*/*.mp4"), **going.times("*/rows/*.json")}
    assert len(before) == 16
    again = going.run("warp", "still=warp:unguided")
    assert going.progress[-1] == (8, 8)
    assert {**going.times("*/videos/*/*.mp4"), **going.times("*/rows/*.json")} == before
    assert [run.rows for run in again] == [run.rows for run in runs]
    assert going.notes == []


@pytest.mark.slow
def test_more_metrics_seeds_and_cases_are_added_to_what_is_there(going):
    going.run("warp", limit=2, metrics=["psnr"])
    videos, rows = going.times("*/videos/*/*.mp4"), going.times("*/rows/*.json")
    first = {row.case: row.value("psnr") for row in going.run("warp", limit=2, metrics=["psnr"])[0].rows}
    run = going.run("warp", metrics=["temporal_flickering"], seeds=[0, 1])[0]
    assert len(run.rows) == 8
    now = going.times("*/videos/*/*.mp4")
    assert all(now[name] == when for name, when in videos.items()), "videos that are there are only measured"
    assert all(going.times("*/rows/*.json")[name] > when for name, when in rows.items())
    assert all(row.value("temporal_flickering") is not None for row in run.rows)
    assert {row.case: row.value("psnr") for row in run.rows if row.seed == 0 and row.value("psnr")} == first
    assert run.facts["metrics"] == ["psnr", "temporal_flickering"]
    assert read_json(going.out / "benchmark.json")["seeds"] == [0, 1]
    run = going.run("warp", limit=1, metrics=["psnr"])[0]
    assert len(run.rows) == 8, "a smaller call reports all there is"


def test_what_was_damaged_is_mended_and_the_rest_left_alone(going):
    rows = going.run("warp")[0].rows
    times = going.times("*/videos/*/*.mp4")
    row, video, other, lost = (going.out / "warp" / "rows" / f"{row.case}.seed-0.json" for row in rows)
    row.write_text(row.read_text()[:50])
    other_video = going.out / "warp" / rows[2].video
    other_video.write_bytes(other_video.read_bytes()[:1000])
    (going.out / "warp" / rows[1].video).unlink()
    lost.unlink()
    again = going.run("warp")[0]
    assert {each.status for each in again.rows} == {"done"}
    now = going.times("*/videos/*/*.mp4")
    changed = [name for name in now if now[name] != times.get(name)]
    assert sorted(changed) == sorted(f"warp/{rows[number].video}" for number in (1, 2)), "a lost row is only measured"
    assert row.with_suffix(".json.damaged").exists()
    assert sorted(note.split(": ")[-1] for note in going.notes) == ["the video is another one", "the video is gone"]
    # Two of them were encoded anew.
    assert [each.value("psnr") for each in again.rows] == pytest.approx([each.value("psnr") for each in rows], abs=0.05)
    assert video.exists()
    assert other.exists()


@pytest.mark.slow
def test_rows_of_other_weights_are_made_again_and_never_mixed(going, monkeypatch):
    going.run("warp")
    before = going.times("*/videos/*/*.mp4")
    monkeypatch.setattr("motionloom.models.warp._WARP_DIGEST", "f" * 64)
    run = going.run("warp", limit=1)[0]
    assert len(run.rows) == 1
    assert run.rows[0].facts["digest"] == "f" * 64
    assert any("3 rows are of other weights" in note for note in going.notes)
    run = going.run("warp")[0]
    assert "warp: finished rows are made again: the weights, the parameters or the case have changed" in going.notes
    assert {row.facts["digest"] for row in run.rows} == {"f" * 64} == {run.facts["digest"]}
    assert all(when != before[name] for name, when in going.times("*/videos/*/*.mp4").items())


@pytest.mark.slow
def test_a_case_that_changed_is_made_again_and_another_true_video_measured_again(going):
    rows = going.run("warp")[0].rows
    before = going.times("*/videos/*/*.mp4")
    english = going.bench / "en"
    shutil.copyfile(english / "first_frame" / f"{rows[1].case}.jpg", english / "first_frame" / f"{rows[0].case}.jpg")
    shutil.copyfile(english / "video" / f"{rows[1].case}.mp4", english / "video" / f"{rows[2].case}.mp4")
    again = going.run("warp")[0].rows
    now = going.times("*/videos/*/*.mp4")
    assert [now[name] != before[name] for name in (f"warp/{row.video}" for row in rows)] == [True, False, False, False]
    assert again[2].value("psnr") != rows[2].value("psnr")
    assert again[3] == rows[3]


def test_other_parameters_are_refused_until_asked_for(going):
    going.run("warp")
    weaker = Candidate.parse("warp", Parameters(strength=0.5))
    with pytest.raises(
        InputError, match=r"warp: was made with strength as usual, now 0\.5; LABEL=MODEL .* --overwrite"
    ):
        going.run(weaker)
    with pytest.raises(InputError, match=r'seed_rule "same", now "published"'):
        going.run("warp", seed_rule="published")
    run = going.run(weaker, overwrite=True)[0]
    assert run.facts["parameters"]["strength"] == 0.5
    assert all(read_provenance(run.file(row.video))["parameters"]["strength"] == 0.5 for row in run.rows)


@pytest.mark.slow
def test_a_case_that_fails_is_a_row_and_the_others_go_on(going):
    ids = [case.id for case in open_benchmark(going.bench)]
    picture = going.bench / "en" / "first_frame" / f"{ids[1]}.jpg"
    whole = picture.read_bytes()
    picture.write_bytes(b"no picture")
    run = going.run("warp", report=True)[0]
    assert [row.status for row in run.rows] == ["done", "failed", "done", "done"]
    assert ids[1] in run.rows[1].error
    assert run.rows[1].facts["kind"] == "FileFormatError"
    assert any(ids[1] in note for note in going.notes)
    times = going.times("*/videos/*/*.mp4")
    picture.write_bytes(whole)
    run = going.run("warp")[0]
    assert [row.status for row in run.rows] == ["done"] * 4
    assert times.items() <= going.times("*/videos/*/*.mp4").items()


def test_a_metric_that_breaks_costs_itself_and_is_tried_again(going, monkeypatch):
    from motionloom.evaluate.suite import METRICS

    def broken(evidence):
        raise TypeError("a fault of ours")

    sound = METRICS["psnr"].compute
    object.__setattr__(METRICS["psnr"], "compute", broken)
    try:
        row = going.run("warp", limit=1)[0].rows[0]
    finally:
        object.__setattr__(METRICS["psnr"], "compute", sound)
    assert row.status == "done"
    assert row.value("temporal_flickering") is not None
    reason = next(each.reason for each in row.measurements if each.name == "psnr")
    assert reason is not None
    assert reason.startswith("broke: TypeError: a fault of ours (")
    assert any("psnr: TypeError: a fault of ours" in note for note in going.notes)
    assert going.run("warp", limit=1)[0].rows[0].value("psnr") is not None


def test_metrics_are_computed_when_their_weights_arrive(going, monkeypatch):
    from motionloom.evaluate.published_weights import WEIGHTS
    from motionloom.evaluate.suite import METRICS

    metric = next(each for each in METRICS.values() if each.weights == ("inception-fid",))
    run = going.run("warp", limit=2, metrics=[metric.name, "psnr"])[0]
    total = next(each for each in run.totals if each.name == metric.name)
    assert total.value is None
    assert WEIGHTS["inception-fid"].file in str(total.reason)
    rows = going.times("*/rows/*.json")
    going.run("warp", limit=2, metrics=[metric.name, "psnr"])
    assert going.times("*/rows/*.json") == rows, "still missing: nothing to do"
    monkeypatch.setattr("motionloom.evaluate.measuring.is_missing", lambda name, places, **_: False)
    going.run("warp", limit=2, metrics=[metric.name, "psnr"])
    assert all(when > rows[name] for name, when in going.times("*/rows/*.json").items())


@pytest.mark.slow
def test_the_report_has_the_candidates_of_earlier_calls_too(going, monkeypatch):
    shown = []
    monkeypatch.setattr(
        "motionloom.evaluate.report.write_report", lambda runs, out, **_: shown.append([run.name for run in runs])
    )
    going.run("warp", limit=1, report=True)
    going.run(Candidate("weak", "warp", Parameters(strength=0.5)), limit=1, report=True)
    (going.out / "odd").mkdir()
    (going.out / "odd" / "run.json").write_text("{}")
    assert going.notes == []
    case = open_benchmark(going.bench).cases[3].id
    listed = going.bench / "en" / "single_track.txt"
    listed.write_text("".join(line for line in listed.read_text().splitlines(True) if not line.startswith(case)))
    going.run("weak=warp:unguided", limit=1, report=True, overwrite=True)
    assert going.notes[-1] == "warp: is of an earlier state of the benchmark; name it with -m to renew it"
    going.run("warp", limit=1, report=True, language="en")
    assert shown == [["warp"], ["weak", "warp"], ["weak", "warp"], ["warp", "weak"]]


@pytest.mark.slow
def test_the_published_seed_rule_counts_cases(going):
    run = going.run("warp", seed_rule="published", seeds=[5, 100])[0]
    assert [row.seed for row in run.rows] == [5, 6, 7, 8, 100, 101, 102, 103]
    assert [row.facts["base_seed"] for row in run.rows] == [5] * 4 + [100] * 4
    assert read_provenance(run.file(run.rows[2].video))["parameters"]["seed"] == 7
    assert run.totals[0].value is not None
    assert {row.seed for row in going.run("warp", seed_rule="published", seeds=[5], limit=1)[0].rows} >= {5, 103}


def test_parts_of_several_machines_are_the_whole(going):
    for part, count in (("1/3", 2), ("2/3", 3), ("3/3", 4)):
        before = set(going.times("*/rows/*.json"))
        runs = going.run("warp", part=part)
        assert len(runs[0].rows) == count
        assert len(set(going.times("*/rows/*.json")) - before) == (2 if part == "1/3" else 1)
    whole = going.run("warp")[0]
    assert going.progress == [(0, 4), (4, 4)]
    assert len(whole.rows) == 4


def test_videos_made_elsewhere_are_only_measured(going, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for case in list(open_benchmark(going.bench))[:3]:
        shutil.copyfile(case.video, theirs / f"{case.id}.mp4")
    run = going.run(f"truth=@{theirs}", seeds=[0, 1])[0]
    assert [row.status for row in run.rows] == ["done", "done", "done", "failed"]
    assert "no such file, expected the video of case" in str(run.rows[3].error)
    reasons = {str(each.reason) for row in run.rows for each in row.measurements if each.name == "psnr"}
    assert len(reasons) == 1
    assert reasons.pop().startswith("identical")
    assert not (going.out / "truth" / "videos").exists()
    assert run.file(run.rows[0].video).resolve() == theirs / f"{run.rows[0].case}.mp4"
    rows = going.times("*/rows/*.json")
    Clip(Clip.load(run.file(run.rows[0].video)).frames[:, ::-1], 16.0).save(theirs / f"{run.rows[0].case}.mp4")
    again = going.run(f"truth=@{theirs}")[0]
    changed = [name for name, when in going.times("*/rows/*.json").items() if rows.get(name) != when]
    assert len(changed) == 2, "the one that changed and the one that failed"
    assert again.rows[0].value("psnr") is not None


def test_motions_of_one_kind(going):
    run = going.run("warp", categories=["zoom", "rotation"])[0]
    assert {row.category for row in run.rows} == {"zoom", "rotation"}
    with pytest.raises(InputError, match="category: found 'spin', expected some of translation"):
        going.run("warp", categories=["spin"])


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        (["nanoo"], {}, r"found 'nanoo', expected one of .* did you mean nano"),
        (["nano:tora"], {}, "nano knows ati, wan_move, time_to_move, found 'tora'"),
        (["warp", "warp"], {}, "would share a folder"),
        (["warp"], {"seeds": []}, "seeds: found"),
        (["warp"], {"seed_rule": "none"}, "seed_rule: found 'none'"),
        (["warp"], {"limit": 0}, "limit: found 0"),
        (["warp"], {"metrics": ["beauty"]}, "metrics: found 'beauty'"),
        (["warp"], {"part": "3/2"}, "shard: found '3/2'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_made(going, models, options, message):
    with pytest.raises(InputError, match=message):
        going.run(*models, **options)
    assert not list(going.out.glob("*/videos"))


def test_a_model_that_cannot_be_loaded_is_one_error(going, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(MotionloomError) as caught:
        going.run("warp", str(tmp_path / "empty"), limit=1)
    assert "empty" in str(caught.value)
    assert (going.out / "warp" / "run.json").exists(), "what was done before is reported"


def test_a_device_that_is_not_there_is_one_error(going):
    with pytest.raises(InputError, match=r"device: found 'cuda:77', but torch .* sees \d+ GPUs here"):
        going.run("nano", executor=executor("inline", device="cuda:77"), limit=1)
    assert not list(going.out.glob("*/rows/*"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["process", "ray"])
def test_every_executor_writes_the_same_rows(going, kind, tmp_path):
    if kind == "ray":
        pytest.importorskip("ray")
    here = going.run("warp", seeds=[0, 1])[0]
    there = going.run("warp", seeds=[0, 1], out=tmp_path / "there", executor=executor(kind, workers=2, device="cpu"))[0]
    assert [_timeless(row) for row in there.rows] == [_timeless(row) for row in here.rows]
    assert there.totals == here.totals
    assert {row.status for row in there.rows} == {"done"}


def _timeless(row):
    # A video holds the time it took; its frames are the same.
    record = json.loads(json.dumps(row.record()))
    record.pop("seconds")
    record.pop("reference")
    record["facts"].pop("video_sha256")
    return record


@pytest.mark.slow
def test_a_text_to_video_candidate_gets_no_photograph(going, tmp_path):
    tiny = runpy.run_path(str(Path(__file__).parents[2] / "models" / "tiny_tora.py"))
    pipe = tiny["pipeline"]("t2v")
    tiny["save_diffusers"](tmp_path / "dream", pipe, tiny["adapter"](pipe))
    candidate = Candidate("dream", str(tmp_path / "dream"), Parameters(num_inference_steps=1, size=(32, 48)))
    (run,) = going.run(candidate, metrics=("temporal_flickering", "endpoint_first_psnr", "psnr"))
    assert len(run.rows) == 4
    video = next((going.out / "dream").rglob("*.mp4"))
    assert read_provenance(video)["image"] is None
    (row, *_) = run.rows
    values = {each.name: each.value for each in row.measurements}
    assert values["psnr"] is not None
    assert values.get("endpoint_first_psnr") is None
