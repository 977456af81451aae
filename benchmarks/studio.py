"""What the studio's page takes: to be there, to follow the hand with 200 paths, to show a preview after an edit.

Run: python benchmarks/studio.py [--tracks 200] [--repeats 5] [--json FILE]
Needs the built page (make client) and a Chromium. The browser is headless and paints on the processor, as this machine
has no graphics: what a frame costs the page itself (scripts, styles, layout) is measured apart from how often one is
shown. The row "nothing but frames" is what the machine shows when nothing happens. See also studio_load.py.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import _report
import _studio
from _studio import Server, find_chromium, until
from playwright.sync_api import Browser, Page, sync_playwright

VIEWPORT = {"width": 1440, "height": 900}
FRAME = 1000 / 60  # ms
INTERACTIVE = 1.0  # s
PREVIEW = 1.0  # s

# When the page can first be used, in ms since the navigation began.
FIRST_USE = """
window.__usable = {};
const look = () => {
  const usable = (selector) => [...document.querySelectorAll(selector)].some((e) => !e.disabled);
  if (!__usable.tools && usable('[role=toolbar] [role=radio]')) __usable.tools = performance.now();
  if (!__usable.home && [...document.querySelectorAll('button')].some((e) => e.textContent.includes('New project')))
    __usable.home = performance.now();
  const pictures = [...document.querySelectorAll('[role=application] img')];
  if (!__usable.picture && pictures.some((e) => e.complete && e.naturalWidth))
    __usable.picture = performance.now();
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
FRAMES = """() => {
  window.__frames = [];
  window.__counting = true;
  const frame = (time) => { __frames.push(time); if (__counting) requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5, help="page loads and edits; medians are reported")
    parser.add_argument("--moves", type=int, default=240, help="of the mouse in each drag")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    program = find_chromium()
    if program is None:
        sys.exit("benchmarks/studio.py: found no Chromium in $CHROMIUM, on the PATH or of Playwright")
    for name, value in _report.header().items():
        print(f"{name:<8}{value}")
    results: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder) / "data", devices=()) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=program, args=list(_studio.CHROMIUM_FLAGS))
        results["browser"] = browser.version
        project = many_paths(server, arguments.tracks)
        results["interactive"] = interactive(browser, server, project, arguments.repeats)
        results["dragging"] = dragging(browser, server, project, arguments.tracks, arguments.moves)
        results["preview"] = edit_to_preview(browser, server, arguments.repeats)
        browser.close()
    _report.write(results, arguments.json)


def many_paths(server: Server, count: int) -> str:
    """A project with that many paths of five points over the whole picture; returns its id."""
    project = server.new_project("cat")
    motion = project["motion"]
    width, height = motion["canvas"]["width"], motion["canvas"]["height"]
    columns = math.ceil(math.sqrt(count * width / height))
    rows = math.ceil(count / columns)
    motion["instructions"] = []
    for number in range(count):
        x = (number % columns + 0.5) * width / columns
        y = (number // columns + 0.5) * height / rows
        reach = 0.4 * width / columns
        points = [
            {"x": round(x + reach * step / 4, 2), "y": round(y + 0.5 * reach * math.sin(step), 2)} for step in range(5)
        ]
        motion["instructions"].append({"kind": "path", "id": f"path-{number + 1}", "points": points})
    body = {"base_version": project["version"], "motion": motion, "settings": project["settings"]}
    server.request("PUT", f"/projects/{project['id']}", body)
    return project["id"]


@contextmanager
def window(browser: Browser, server: Server, path: str) -> Iterator[Page]:
    """A fresh browser window, with nothing in its cache, on one page."""
    context = browser.new_context(base_url=server.url, viewport=VIEWPORT)  # pyright: ignore[reportArgumentType]
    page = context.new_page()
    page.add_init_script(FIRST_USE)
    page.goto(path)
    yield page
    context.close()


def usable(page: Page, *names: str) -> None:
    """Waits; Playwright's own waiting needs `eval`, which the page's security policy forbids."""
    expression = " && ".join(f"window.__usable.{name}" for name in names)
    until(lambda: page.evaluate(f"Boolean({expression})"), 60, f"{names} cannot be used within a minute")


def interactive(browser: Browser, server: Server, project: str, repeats: int) -> dict[str, float]:
    """Seconds from the start of the navigation until something can be done."""
    results: dict[str, float] = {}
    print(f"\n{'until it can be used':<28}{'seconds':>9}{'best':>9}")
    rows = {"home": "/", "tools": f"/#/project/{project}", "picture": f"/#/project/{project}"}
    for name, path in rows.items():
        seconds: list[float] = []
        for _ in range(repeats):
            with window(browser, server, path) as page:
                usable(page, name)
                seconds.append(page.evaluate(f"window.__usable.{name}") / 1000)
        results[name] = statistics.median(seconds)
        late = "" if results[name] < INTERACTIVE else f"  over the bar of {INTERACTIVE:g} s"
        print(f"{name:<28}{results[name]:>9.2f}{min(seconds):>9.2f}{late}")
    return results


def dragging(browser: Browser, server: Server, project: str, tracks: int, moves: int) -> dict[str, dict[str, float]]:
    """How often a frame is shown while something is dragged, and what each costs the page."""
    results: dict[str, dict[str, float]] = {}
    print(f"\n{f'{tracks} paths':<28}{'frame ms':>9}{'p95':>8}{'in time':>9}{'page ms':>9}{'script':>8}{'layout':>8}")
    with window(browser, server, f"/#/project/{project}") as page:
        usable(page, "tools", "picture")
        page.wait_for_timeout(1_000)
        canvas = page.get_by_role("application", name="Canvas")
        box = canvas.locator("img").first.bounding_box()
        assert box is not None
        scale = box["width"] / server.get(f"/projects/{project}")["width"]
        motion = server.get(f"/projects/{project}")["motion"]
        middle = motion["instructions"][tracks // 2]["points"][2]

        def on_page(point: Any) -> tuple[float, float]:
            x, y = (point["x"], point["y"]) if isinstance(point, dict) else point[:2]
            return box["x"] + x * scale, box["y"] + y * scale

        x, y = on_page(middle)

        def rest() -> None:
            page.wait_for_timeout(moves * FRAME)

        def drag() -> None:
            page.mouse.move(x, y)
            page.mouse.down()
            for move in range(moves):
                angle = 2 * math.pi * move / 60
                page.mouse.move(x + 60 * math.sin(angle), y + 60 * (1 - math.cos(angle)))
            page.mouse.move(x, y)
            page.mouse.up()

        page.get_by_role("radio", name="Select", exact=True).click()
        results["nothing but frames"] = frames(page, rest)
        _row("nothing but frames", results)
        page.mouse.click(x, y)
        results["one path"] = frames(page, drag)
        _row("one path", results)
        page.mouse.click(x, y)
        results["one point of a path"] = frames(page, drag)
        _row("one point of a path", results)
        canvas.focus()
        page.keyboard.press("Control+a")
        results["all paths"] = frames(page, drag)
        _row("all paths", results)
        page.keyboard.press("Escape")
        page.get_by_role("radio", name="Free path", exact=True).click()
        results["drawing a path"] = frames(page, drag)
        _row("drawing a path", results)
        play = page.get_by_role("button", name="Play", exact=True).first
        play.click()
        results["playing"] = frames(page, rest)
        _row("playing", results)
    return results


def frames(page: Page, act: Callable[[], None]) -> dict[str, float]:
    """Milliseconds between frames while ``act`` runs, and what the page's thread did in each."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def metrics() -> dict[str, float]:
        return {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}

    page.evaluate(FRAMES)
    before = metrics()
    act()
    after = metrics()
    times = page.evaluate("() => { window.__counting = false; return window.__frames; }")
    session.detach()
    gaps = [b - a for a, b in pairwise(times)]
    count = max(1, len(gaps))

    def each(*names: str) -> float:
        return sum(1000 * (after[name] - before[name]) for name in names) / count

    return {
        "frames": len(gaps),
        "median_ms": statistics.median(gaps),
        "p95_ms": _studio.quantile(gaps, 0.95),
        # Frame times jitter around the beat; what is late by a tenth of it missed none.
        "share_in_time": sum(gap < 1.1 * FRAME for gap in gaps) / count,
        "page_ms": each("TaskDuration"),
        "script_ms": each("ScriptDuration"),
        "layout_ms": each("LayoutDuration", "RecalcStyleDuration"),
    }


def _row(name: str, results: dict[str, dict[str, float]]) -> None:
    row = results[name]
    print(
        f"{name:<28}{row['median_ms']:>9.1f}{row['p95_ms']:>8.1f}{row['share_in_time']:>9.0%}"
        f"{row['page_ms']:>9.2f}{row['script_ms']:>8.2f}{row['layout_ms']:>8.2f}"
    )


def edit_to_preview(browser: Browser, server: Server, repeats: int) -> dict[str, float]:
    """Seconds from a nudge to its picture, with the motion of the example."""
    project = server.new_project("cat")["id"]
    measured: list[float] = []
    with window(browser, server, f"/#/project/{project}") as page:
        usable(page, "tools", "picture")
        page.get_by_role("switch", name="Preview", exact=True).click()
        page.get_by_role("application", name="Canvas").focus()
        page.keyboard.press("Control+a")
        count = "performance.getEntriesByName('motionloom:edit-to-preview').length"
        until(lambda: page.evaluate(count) > 0, 60, "no preview appeared")
        for number in range(repeats):
            page.wait_for_timeout(500)
            done = page.evaluate(count)
            page.keyboard.press("ArrowRight" if number % 2 == 0 else "ArrowLeft")
            until(lambda done=done: page.evaluate(count) > done, 60, "the preview did not follow")
            entry = "performance.getEntriesByName('motionloom:edit-to-preview').at(-1).duration"
            measured.append(page.evaluate(entry) / 1000)
    median = statistics.median(measured)
    late = "" if median < PREVIEW else f"  over the bar of {PREVIEW:g} s"
    print(f"\nfrom an edit to its preview {median:>9.2f} s, longest {max(measured):.2f} s{late}")
    return {"median_seconds": median, "longest_seconds": max(measured)}


if __name__ == "__main__":
    main()
