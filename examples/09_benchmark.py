"""A benchmark from nothing: cases with exact tracks, models that run over them, a report that compares the two."""

from pathlib import Path

from motionloom.evaluate.bench import Candidate, run_benchmark
from motionloom.evaluate.make_bench import make_procedural

folder = Path("out/examples/benchmark")
make_procedural(folder / "cases", cases=2, num_frames=5, size=(64, 64), overwrite=True)

runs = run_benchmark(
    folder / "cases",
    [Candidate.parse("warp"), Candidate.parse("unmoved=warp:unguided")],
    folder / "results",
    metrics=["epe", "psnr", "ic"],
    overwrite=True,
)
for run in runs:
    print(run.name, {row.case: round(row.value("epe") or 0, 2) for row in run.rows})
print(folder / "results" / "report.html")
