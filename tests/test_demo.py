import os

import numpy as np
import pytest

from motionloom.demo import run_demo
from motionloom.errors import InputError
from motionloom.media import Clip, read_image, read_provenance


def test_demo_writes_a_page_and_all_it_links_to(tmp_path):
    lines, steps = [], []
    page = run_demo(
        tmp_path, only="cat", nano=False, num_frames=9, on_progress=lambda *s: steps.append(s), on_line=lines.append
    )
    assert page == tmp_path / "index.html"
    assert sorted(os.listdir(tmp_path)) == [
        "cat.contact_sheet.png", "cat.mp4", "cat.overlay.mp4", "cat.side_by_side.mp4", "index.html",
    ]  # fmt: skip
    text = page.read_text()
    for name in os.listdir(tmp_path):
        assert name in text or name == "index.html"
    clip = Clip.load(tmp_path / "cat.mp4")
    assert (clip.num_frames, clip.size) == (9, (300, 451))
    assert np.abs(clip.frames[0].astype(int) - clip.frames[4]).mean() > 3
    assert read_provenance(tmp_path / "cat.mp4")["model"]["name"] == "warp"
    assert Clip.load(tmp_path / "cat.side_by_side.mp4").size[1] >= 2 * 451
    assert read_image(tmp_path / "cat.contact_sheet.png").shape[1] > 451
    assert lines[0].startswith("cat: warp 451x300, 9 frames in ")
    assert steps[-1] == (1000, 1000)
    assert steps == sorted(steps)


@pytest.mark.slow
def test_demo_shows_nano_beside_the_warp_or_says_why_not(tmp_path, monkeypatch):
    from motionloom.errors import CheckpointError
    from motionloom.models import loading
    from motionloom.models.warp import WarpModel

    real = loading.load

    def without_weights(name, **options):
        if name == "nano":
            raise CheckpointError("nano: no weights here")
        return real(name, **options)

    monkeypatch.setattr(loading, "load", without_weights)
    lines = []
    run_demo(tmp_path, only="cat", num_frames=5, on_line=lines.append)
    assert "nano did not run: nano: no weights here" in lines[0]

    def warp_for_both(name, **options):
        return real("warp", **options)

    monkeypatch.setattr(loading, "load", warp_for_both)
    monkeypatch.setattr(WarpModel, "default_size", lambda self, size: (60, 90))
    run_demo(tmp_path, only="cat", num_frames=5)
    assert (tmp_path / "cat.nano.mp4").exists()
    assert Clip.load(tmp_path / "cat.side_by_side.mp4").size[1] >= 3 * 90


def test_unknown_example(tmp_path):
    with pytest.raises(InputError, match="expected one of rocket, coffee"):
        run_demo(tmp_path, only="dog")
