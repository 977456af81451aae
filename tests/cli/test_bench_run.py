import json
import shutil

import pytest
import torch

from motionloom.cli.bench_run import _mean
from motionloom.evaluate.make_bench import make_procedural
from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.run import Row, Run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("cli-bench") / "bench"
    make_procedural(folder, cases=2, seed=1, num_frames=5, size=(32, 48))
    return folder


@pytest.fixture
def bench(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MOTIONLOOM_DEBUG", raising=False)
    return shutil.copytree(made, tmp_path / "bench")


COMMAND = ("bench", "run", "bench", "-o", "out", "--metrics", "psnr,temporal_flickering")


@pytest.mark.slow
def test_a_table_and_the_report_on_the_last_line(call, bench):
    found = call(*COMMAND, "-m", "warp", "-m", "still=warp:unguided", "--steps", "2", "--seeds", "0,1")
    assert found.code == 0, found.err
    assert found.lines[-1] == "out/report.html"
    assert (bench.parent / "out" / "report.html").is_file()
    table = [line.split() for line in found.lines[:3]]
    assert table[0] == ["run", "done", "failed", "psnr", "temporal_flickering"]
    assert [line[:3] for line in table[1:]] == [["warp", "4", "0"], ["still", "4", "0"]]
    run = Run.load("out/warp/run.json")
    assert float(table[1][3]) == pytest.approx(sum(row.value("psnr") for row in run.rows) / 4, rel=1e-3)
    assert run.facts["command"][0] == "motionloom"
    assert run.facts["seeds"] == [0, 1]

    found = call(*COMMAND, "-m", "warp", "--strength", "0.5")
    assert found.code == 2
    assert "strength as usual, now 0.5" in found.err
    found = call(*COMMAND, "-m", "warp", "--mode", "multi")
    assert found.code == 2
    assert "--mode" in found.err or "mode" in found.err


def test_a_case_counts_once_however_many_seeds_it_has():
    values = {("a", 0): 0.0, ("a", 1): 2.0, ("b", 0): 6.0, ("b", 1): None}
    rows = tuple(
        Row(case, seed, "done", measurements=(Measurement("epe", value, reason=None if value is not None else "lost"),))
        for (case, seed), value in values.items()
    )
    fid = (Measurement("fid", 7.0),)
    assert _mean(Run("x", rows, fid), "epe") == "3.5", "the mean of 1 and 6, not of 0, 2 and 6"
    assert (_mean(Run("x", rows, fid), "fid"), _mean(Run("x", rows, fid), "psnr")) == ("7", "-")


@pytest.mark.slow
def test_failed_rows_are_the_exit_code(call, bench):
    victim = sorted((bench / "en" / "first_frame").glob("*.jpg"))[0]
    victim.write_bytes(b"no picture")
    found = call(*COMMAND, "-m", "warp", "--no-report", "--executor", "process", "--workers", "1", "--device", "cpu")
    assert found.code == 1
    assert found.lines[-1] == "out"
    assert victim.name in found.err
    assert not (bench.parent / "out" / "report.html").exists()
    rows = [json.loads(path.read_text()) for path in (bench.parent / "out" / "warp" / "rows").glob("*.json")]
    assert sorted(row["status"] for row in rows) == ["done", "failed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "nanoo"], "found 'nanoo'"),
        (["-m", "warp", "--seeds", "one"], "--seeds: found 'one', expected numbers with commas"),
        (["-m", "warp", "--executor", "threads"], "executor: found 'threads'"),
        (["-m", "warp", "--workers", "2"], "found 2 for inline"),
        (["-m", "warp", "--ray-address", "auto"], "is that of a Ray cluster"),
        (["-m", "warp", "--shard", "3/2"], "shard: found '3/2'"),
        (["-m", "warp", "--category", "spin"], "category: found 'spin'"),
        (["-m", "warp", "--weights", "x"], "--weights: found 'x'"),
        (["-m", "warp", "--language", "fr"], "language: found 'fr'"),
        (["-m", "x=@nowhere"], "x: found no folder at nowhere"),
    ],
)
def test_what_makes_no_sense_is_one_line(call, bench, arguments, message):
    found = call(*COMMAND, *arguments)
    assert found.code == 2
    assert message in found.err
    assert len(found.err.splitlines()) == 1
