"""Make the pictures of the studio from the real page: `python docs/make_screenshots.py` needs the built page
(`make studio-client`), Playwright and a Chromium.

studio.webp: the editor, dark. studio-light.webp: what the model receives. studio-results.webp: two results compared.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "studio" / "browser"))

from studio_driver import CHROMIUM_FLAGS, Server, find_chromium

FOLDER = Path(__file__).parent / "images"
SIZE = {"width": 1440, "height": 900}


def save(page: Page, name: str) -> None:
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.save(FOLDER / name, quality=82, method=6)
    print(FOLDER / name)


def start(page: Page, address: str, example: str) -> None:
    page.goto(address)
    page.get_by_role("button", name=example).first.click()
    page.get_by_label("Canvas").wait_for()


def editor(page: Page, address: str) -> None:
    start(page, address, "Cup slides and turns")
    page.get_by_role("switch", name="Preview").click()
    page.get_by_role("option", name="cup and saucer").click()
    page.get_by_label("Frame", exact=True).focus()
    for _ in range(24):
        page.keyboard.press("ArrowRight")
    page.get_by_text("Making the preview").wait_for(state="hidden", timeout=60_000)
    page.wait_for_timeout(500)
    save(page, "studio.webp")


def received(page: Page, address: str) -> None:
    start(page, address, "Cat turns its head")
    page.get_by_role("switch", name="Received").click()
    page.wait_for_timeout(3000)
    save(page, "studio-light.webp")


def results(page: Page, address: str) -> None:
    start(page, address, "Rocket lifts off")
    page.get_by_role("tab", name="Generate").click()
    page.get_by_label("Videos").fill("2")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Generate", exact=True).click()
    page.get_by_role("tab", name="Results").click()
    page.get_by_text("px from what was drawn").nth(1).wait_for(timeout=120_000)
    page.get_by_role("button", name="Compare").first.click()
    page.wait_for_timeout(500)
    page.get_by_role("button", name="Compare").last.click()
    page.wait_for_timeout(2500)
    save(page, "studio-results.webp")


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder) / "data", devices=("auto",)) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(CHROMIUM_FLAGS))
        for scheme, make in (("dark", editor), ("light", received), ("dark", results)):
            page = browser.new_context(viewport=SIZE, color_scheme=scheme, device_scale_factor=1).new_page()
            make(page, server.url)
        browser.close()


if __name__ == "__main__":
    main()
