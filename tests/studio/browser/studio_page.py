"""The studio's page as somebody uses it: by the names that are read out, in pixels of the picture."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, FilePayload, Locator, Page, expect
from studio_driver import WATCH, Server, until

from motionloom.tracks.motion import Motion
from motionloom.tracks.tracks import Tracks

# On a busy machine pages take their time.
expect.set_options(timeout=15_000)

XY = tuple[float, float]


class Watched:
    """Everything a page says about itself going wrong; ``expected`` are patterns of what a test brings about."""

    def __init__(self, page: Page, expected: Iterable[str] = ()) -> None:
        self.problems: list[str] = []
        self._expected = [re.compile(pattern) for pattern in expected]
        page.add_init_script(WATCH)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self._note(f"uncaught: {error}"))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._note(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _note(self, problem: str) -> None:
        if not any(pattern.search(problem) for pattern in self._expected):
            self.problems.append(problem)


class Editor:
    """One window on one project."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.project: str | None = None
        self._width: int | None = None

    # -------------------------------------------------------------------------------------------------- projects
    def open_new(self, example: str = "cat") -> Editor:
        """A new project of a photograph of the package, with nothing drawn on it."""
        from motionloom.examples_data import example as files_of

        photograph, _ = files_of(example)
        file = FilePayload(name=f"{example}.jpg", mimeType="image/jpeg", buffer=photograph.read_bytes())
        answer = self.page.request.post(f"{self.server.url}/api/v1/projects", multipart={"image": file})
        assert answer.status == 201, answer.text()
        return self.open(answer.json()["id"])

    def open(self, project: str) -> Editor:
        """The project by its address."""
        self.project, self._width = project, None
        self.page.goto(f"/#/project/{project}")
        return self.wait_until_ready()

    def wait_until_ready(self) -> Editor:
        """The tools can be used and the picture is there."""
        expect(self.radio("Select")).to_be_enabled()
        until(lambda: self._picture() is not None, 10, "the picture did not appear")
        return self

    def address(self) -> str:
        """Where the page is now."""
        return self.page.evaluate("location.href")

    def stored(self) -> dict[str, Any]:
        """The project as the server has it."""
        return self.server.get(f"/projects/{self.project}")

    def stored_instructions(self) -> list[dict[str, Any]]:
        return self.stored()["motion"]["instructions"]

    def wait_for_instructions(self, count: int, seconds: float = 10) -> list[dict[str, Any]]:
        """The stored ones, once there are ``count``."""
        until(lambda: len(self.stored_instructions()) == count, seconds, f"{count} instructions were not stored")
        return self.stored_instructions()

    def compiled(self, folder: Path) -> Tracks:
        """The tracks of the stored motion, by way of a file in ``folder``."""
        file = folder / "stored.motion.json"
        file.write_text(json.dumps(self.stored()["motion"]))
        return Motion.load(file).compile()

    # ------------------------------------------------------------------------------------------------ the canvas
    @property
    def canvas(self) -> Locator:
        return self.page.get_by_role("application", name="Canvas")

    def _picture(self) -> dict[str, float] | None:
        """Where the picture lies on the page, in CSS pixels."""
        found = self.canvas.locator("img, canvas").first
        box = found.bounding_box() if found.count() else None
        return box if box and box["width"] > 10 else None  # type: ignore[return-value]

    def at(self, x: float, y: float) -> XY:
        """A point of the picture on the page."""
        box = self._picture()
        assert box is not None
        return box["x"] + float(x) * self.scale(), box["y"] + float(y) * self.scale()

    def scale(self) -> float:
        """CSS pixels per pixel of the picture."""
        box = self._picture()
        assert box is not None
        self._width = self._width or int(self.stored()["width"])
        return box["width"] / self._width

    def click(self, x: float, y: float, **options: Any) -> None:
        self.page.mouse.click(*self.at(x, y), **options)

    def drag(self, points: Sequence[XY], *, steps: int = 6, pause: float = 0.0) -> None:
        """The mouse pressed at the first point, moved along the others, released at the last."""
        self.page.mouse.move(*self.at(*points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.at(*point), steps=steps)
            if pause:
                time.sleep(pause)
        self.page.mouse.up()

    def tool(self, name: str) -> None:
        tool = self.radio(name)
        tool.click()
        expect(tool).to_be_checked()

    def radio(self, name: str) -> Locator:
        return self.page.get_by_role("toolbar", name="Tools").get_by_role("radio", name=name, exact=True)

    def points(self, name: str) -> Locator:
        """The control points of an instruction."""
        return self.canvas.get_by_role("button", name=re.compile(rf"^{re.escape(name)} point \d+"))

    # ----------------------------------------------------------------------------------------- lists and buttons
    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True).first

    def switch(self, name: str) -> Locator:
        return self.page.get_by_role("switch", name=name, exact=True).first

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).click()

    @property
    def list(self) -> Locator:
        return self.page.get_by_role("listbox", name="Instructions")

    @property
    def options(self) -> Locator:
        return self.list.get_by_role("option")

    @property
    def timeline(self) -> Locator:
        return self.page.get_by_role("region", name="Timeline")

    @property
    def jobs(self) -> Locator:
        return self.page.get_by_role("list", name="Jobs").get_by_role("listitem")

    @property
    def results(self) -> Locator:
        return self.page.get_by_role("list", name="Results").get_by_role("listitem")

    def fill(self, label: str, value: str) -> None:
        """A field, as by typing and leaving it."""
        field = self.page.get_by_label(label, exact=True).first
        field.fill(value)
        field.press("Enter")

    def draw_path(self, points: Sequence[XY] = ((150, 150), (220, 120), (300, 160))) -> None:
        """By one stroke, whose pace the points keep."""
        self.tool("Free path")
        self.drag(points)

    def click_path(self, points: Sequence[XY] = ((120, 200), (200, 150), (280, 200))) -> None:
        """Point by point, over the whole motion."""
        self.tool("Free path")
        for point in points:
            self.click(*point)
        self.page.keyboard.press("Enter")


def circle(centre: XY, radius: float, count: int = 24) -> list[XY]:
    """Points once around."""
    angles = [2 * math.pi * step / count for step in range(count + 1)]
    return [(centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in angles]


def points_of(instruction: dict[str, Any]) -> list[XY]:
    """Positions of its points, which a document may hold as lists or as objects."""
    found = instruction.get("points", [])
    return [(point["x"], point["y"]) if isinstance(point, dict) else tuple(point[:2]) for point in found]
