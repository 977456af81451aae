import runpy
from pathlib import Path

import numpy as np
import pytest

from motionloom.batch_file import read_batch
from motionloom.evaluate import evaluate
from motionloom.examples_data import NAMES, example
from motionloom.media import Clip, read_image
from motionloom.models.catalog import find_model
from motionloom.tracks.motion import Motion

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(path.name for path in (ROOT / "examples").glob("[0-9]*.py"))

NEED_NANO = ("02", "06")


def check_time_to_move(made):
    still = np.repeat(made["clip"].frames[:1], made["clip"].num_frames, axis=0)
    unmoved = evaluate(Clip(still, made["clip"].fps), made["motion"])["epe"]
    assert made["errors"]["epe"] < 0.3 * unmoved


def check_motion_transfer(made):
    """The cup went to the left; so does what the cat's head has been given, and nothing else on the photograph."""
    tracks, (left, top, right, bottom) = made["found"].tracks, (120, 30, 330, 250)
    starts, moved = tracks.points[0], tracks.points[-1] - tracks.points[0]
    assert tracks.num_tracks >= 40
    assert ((starts >= (left, top)) & (starts <= (right, bottom))).all()
    # 18 px of 300 in the video, the region laid over 1.75 times its width.
    assert np.median(moved[:, 0]) == pytest.approx(-32, abs=6)
    assert made["clip"].num_frames == 2 * made["video"].num_frames - 1


def check_evaluate(made):
    moved, still = made["numbers"].values()
    assert moved["epe"] < 0.3 * still["epe"]
    assert still["ic"] == pytest.approx(1, abs=1e-3)


def check_benchmark(made):
    warp, unmoved = ({row.case: row.value("epe") for row in run.rows} for run in made["runs"])
    assert all(warp[case] < 0.5 * unmoved[case] for case in warp)
    assert (made["folder"] / "results" / "report.html").is_file()


CHECKS = {
    "08_evaluate.py": check_evaluate,
    "09_benchmark.py": check_benchmark,
    "06_time_to_move.py": check_time_to_move,
    "07_motion_transfer.py": check_motion_transfer,
}


# In the everyday loop a preview and a camera; the rest take a second or more each.
QUICK = ("01", "03")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name[:2] in QUICK else pytest.mark.slow) for name in SCRIPTS]
)
def test_every_example_runs_and_writes_what_it_says(name, tmp_path, monkeypatch, capsys):
    if name[:2] in NEED_NANO and not find_model("nano").installed:
        pytest.skip("the weights of nano are not in this checkout")
    monkeypatch.chdir(tmp_path)
    made = runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
    assert capsys.readouterr().out
    if name in CHECKS:
        CHECKS[name](made)
    written = [path for path in tmp_path.glob("out/examples/*") if path.suffix in (".mp4", ".gif")]
    for path in written:
        clip = Clip.load(path)
        assert clip.num_frames >= 9
        assert np.abs(clip.frames[0].astype(int) - clip.frames[-1]).mean() > 1, f"nothing moves in {path.name}"
    assert written or "convert" in name or name in CHECKS


def test_the_examples_are_numbered_without_a_gap():
    assert [int(name[:2]) for name in SCRIPTS] == list(range(1, len(SCRIPTS) + 1))


def test_the_batch_file_names_files_that_are_there():
    for item in read_batch(ROOT / "examples" / "batch.yaml"):
        assert item.image.is_file()
        Motion.load(item.motion)


@pytest.mark.parametrize("name", NAMES)
def test_each_motion_was_drawn_on_its_photograph(name):
    image, motion_file = example(name)
    picture, motion = read_image(image), Motion.load(motion_file)
    assert motion.size == picture.shape[:2]
    assert motion.image == image.name
    assert max(picture.shape) <= 832
    assert image.stat().st_size <= 200_000
    tracks = motion.compile()
    assert tracks.inside()[0].all(), "a track begins outside of the photograph"
    assert np.abs(tracks.points[0] - tracks.points[tracks.num_frames // 2]).max() > 10
    credits = (image.parent / "CREDITS.md").read_text()
    assert f"`{image.name}`" in credits


def test_region_covers_the_thing():
    """The rocket is nearly all that is bright in the sky, beside the lattice that held it: the outline follows it."""
    image, motion_file = example("rocket")
    picture = read_image(image).astype(float).mean(-1)
    (layer,) = [layer for layer in Motion.load(motion_file).layers() if layer.region is not None]
    bright = np.zeros_like(layer.region)
    bright[120:330, 300:345] = picture[120:330, 300:345] > 150
    assert (bright & layer.region).sum() / bright.sum() > 0.85
