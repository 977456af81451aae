"""What a screen reader gets: everything that can be used has a name, states are told, text can be read."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow

# Elements that can be used but have no name; names after the specification's order, shortened.
NAMELESS = """() => {
  const used = "button, a[href], input:not([type=hidden]), select, textarea, video, [tabindex], [role=button], "
    + "[role=slider], [role=switch], [role=tab], [role=radio], [role=option], [role=menuitem], [role=checkbox]";
  const text = (e) => (e.textContent || "").trim() || [...e.querySelectorAll("img[alt], [aria-label], title")]
    .map((i) => i.getAttribute("alt") || i.getAttribute("aria-label") || i.textContent).join("");
  const name = (e) => {
    const by = e.getAttribute("aria-labelledby");
    if (by) return by.split(/\\s+/).map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim();
    const own = e.getAttribute("aria-label") || e.getAttribute("title") || e.getAttribute("alt");
    if (own) return own;
    if (e.labels?.length) return [...e.labels].map((l) => l.textContent).join(" ").trim();
    return e.matches("input, select, textarea, video") ? e.getAttribute("placeholder") ?? "" : text(e);
  };
  const seen = (e) => e.getClientRects().length > 0 && !e.closest("[aria-hidden=true]")
    && getComputedStyle(e).visibility !== "hidden";
  return [...document.querySelectorAll(used)].filter((e) => seen(e) && e.tabIndex >= -1 && !name(e))
    .filter((e) => !(e.tabIndex < 0 && !e.getAttribute("role") && !e.matches("button, input, select")))
    .map((e) => e.outerHTML.slice(0, 160));
}"""
DOUBLE_IDS = """() => {
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  return [...new Set(ids.filter((id, k) => ids.indexOf(id) !== k))];
}"""
# Contrast of every text with the nearest opaque background, against 4.5 (3 for large or bold text).
FAINT = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const over = (top, below) => top.slice(0, 3).map((v, k) => v * top[3] / 255 + below[k] * (1 - top[3] / 255));
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (!node.textContent.trim() || !e || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    const box = e.getBoundingClientRect();
    if (style.visibility === "hidden" || box.width < 3 || e.closest("svg, [disabled], [aria-disabled=true], .disabled, "
      + "[role=application], [data-off], option, :disabled")) continue;
    const layers = [];
    let opacity = 1, picture = false;
    for (let up = e; up; up = up.parentElement) {
      const s = getComputedStyle(up);
      opacity *= Number(s.opacity);
      if (s.backgroundImage !== "none") picture = true;
      const color = rgba(s.backgroundColor);
      if (color[3]) layers.push(color);
      if (color[3] === 255) break;
    }
    if (picture || opacity < 0.99) continue;
    let below = [255, 255, 255];
    for (const layer of layers.reverse()) below = over(layer, below);
    const text = over(rgba(style.color), below);
    const [a, b] = [light(text), light(below)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const enough = size >= 24 || (size >= 18.6 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const ratio = (a + 0.05) / (b + 0.05);
    const what = `${node.textContent.trim().slice(0, 40)} .${e.className}`;
    if (ratio < enough - 0.05) found.push(`${ratio.toFixed(2)} ${what}`);
  }
  return [...new Set(found)];
}"""


def look(page, where):
    assert page.evaluate(NAMELESS) == [], f"{where}: without a name"
    assert page.evaluate(DOUBLE_IDS) == [], f"{where}: ids that are there twice"
    assert page.evaluate(FAINT) == [], f"{where}: hard to read"
    assert page.locator("html[lang]").count() == 1
    assert page.title()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_every_screen_has_names_and_contrast(studio, open_page, scheme):
    editor = open_page(studio, color_scheme=scheme)
    page = editor.page
    expect(editor.button("New project")).to_be_visible()
    look(page, "the projects")
    editor.open_new()
    look(page, "an empty editor")
    editor.draw_path()
    expect(editor.options).to_have_count(1)
    editor.wait_for_instructions(1)
    look(page, "the editor")
    for tab in ("Generate", "Results", "Motion"):
        editor.tab(tab)
        look(page, tab)
    for name in ("Export", "Import"):
        editor.button(name).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        look(page, name)
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    look(page, "help")


def test_what_is_done_is_announced(editor):
    editor.draw_path()
    live = editor.page.locator("[aria-live], [role=status], [role=alert]")
    expect(live.filter(has_text="Path 1").first).to_be_attached()


def test_dialogs_hold_the_focus_and_give_it_back(editor):
    page = editor.page
    button = editor.button("Export")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    for _ in range(30):
        page.keyboard.press("Tab")
        inside = page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog, [role=dialog]')"
        )
        assert inside
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
