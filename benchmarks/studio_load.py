"""What the studio's server bears: its start, previews at once from many windows, a long queue.

Run: python benchmarks/studio_load.py [--previews 50] [--jobs 200] [--json FILE]
A server of its own with one worker on the CPU, over an empty data folder. Its clients are threads of this program and
share the processor with it.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import _report
import _studio
from _studio import Server

# What the rows should stay under, in seconds.
START = 2.0
FIRST_PREVIEW = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=5, help="the best of these is reported")
    parser.add_argument("--previews", type=int, default=50, help="asked for at the same moment")
    parser.add_argument("--jobs", type=int, default=200, help="in the queue at the same time")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    for name, value in _report.header().items():
        print(f"{name:<8}{value}")
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        results["start"] = starts(Path(folder), arguments.starts)
        with Server(Path(folder) / "previews", devices=()) as server:
            results["previews"] = previews(server, arguments.previews)
        with Server(Path(folder) / "jobs") as server:
            results["jobs"] = jobs(server, Path(folder) / "small.png", arguments.jobs)
    _report.write(results, arguments.json)


def starts(folder: Path, count: int) -> dict[str, float]:
    """Seconds from the command to the first answer, and from Ctrl-C to the end."""
    begun: list[float] = []
    ended: list[float] = []
    for number in range(count):
        server = Server(folder / f"start-{number}", devices=()).start()
        begun.append(server.start_seconds)
        ended.append(server.stop())
    print(f"\nstart of the server       {min(begun):6.2f} s{_late(min(begun), START)}")
    print(f"its end                   {min(ended):6.2f} s")
    return {"seconds": min(begun), "end_seconds": min(ended)}


def previews(server: Server, count: int) -> dict[str, Any]:
    """One alone, as while drawing; then many at once, each of another motion."""
    project = server.new_project("cat")

    def ask(number: int) -> tuple[float, int]:
        motion = copy.deepcopy(project["motion"])
        motion["pan"] = [*motion.get("pan", []), {"velocity": [0.01 * (number + 1), 0.0]}]
        body = {"project": project["id"], "motion": motion, "key": f"window-{number}"}
        begun = time.perf_counter()
        try:
            size = len(server.request("POST", "/previews", body))
        except urllib.error.HTTPError as error:
            return time.perf_counter() - begun, -error.code
        return time.perf_counter() - begun, size

    ask(1000)  # reads the picture
    alone = [ask(2000 + number)[0] for number in range(5)]
    begun = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(ask, range(count)))
    total = time.perf_counter() - begun
    seconds = [second for second, _ in answers]
    failed = [size for _, size in answers if size <= 0]
    alone_median = statistics.median(alone)
    print(f"\none preview               {alone_median:6.2f} s{_late(alone_median, FIRST_PREVIEW)}")
    print(f"{count} previews at once    {total:8.2f} s, {len(failed)} failed {sorted(set(failed)) or ''}")
    print(f"  each waits              {statistics.median(seconds):6.2f} s (median), {max(seconds):.2f} s (longest)")
    return {
        "one_seconds": alone_median,
        "at_once": count,
        "failed": len(failed),
        "total_seconds": total,
        "median_seconds": statistics.median(seconds),
        "p95_seconds": _studio.quantile(seconds, 0.95),
    }


def jobs(server: Server, picture: Path, count: int) -> dict[str, Any]:
    """Submitted one by one, listed while they wait, and all done in the end."""
    project = _studio.small_project(server, picture)
    settings = {**project["settings"], "model": "warp", "num_frames": 5}
    submitting: list[float] = []
    begun = time.perf_counter()
    for seed in range(count):
        sent = time.perf_counter()
        server.post("/jobs", {"project": project["id"], "settings": settings, "seeds": [seed]})
        submitting.append(time.perf_counter() - sent)
    listing: list[float] = []
    listed: list[dict[str, Any]] = []
    for _ in range(10):
        sent = time.perf_counter()
        listed = server.jobs()
        listing.append(time.perf_counter() - sent)
    assert len(listed) == count
    while True:
        states = [job["state"] for job in server.jobs()]
        if not {"queued", "running"} & set(states):
            break
        time.sleep(0.5)
    total = time.perf_counter() - begun
    failed = sum(state != "done" for state in states)
    print(f"\n{count} jobs: to submit one   {1e3 * statistics.median(submitting):6.1f} ms")
    print(f"  to list them all        {1e3 * statistics.median(listing):6.1f} ms")
    print(f"  all done                {total:6.1f} s, {failed} failed; {total / count:.2f} s each")
    return {
        "count": count,
        "failed": failed,
        "submit_seconds": statistics.median(submitting),
        "list_seconds": statistics.median(listing),
        "total_seconds": total,
    }


def _late(seconds: float, bar: float) -> str:
    return "" if seconds < bar else f"  over the bar of {bar:g} s"


if __name__ == "__main__":
    main()
