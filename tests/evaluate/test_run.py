import numpy as np
import pytest

from motionloom.errors import FileFormatError
from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.run import Row, Run, load_tracks, save_tracks
from motionloom.tracks.tracks import Tracks


def run_of(folder) -> Run:
    rows = (
        Row("a", 0, "done", "zoom", "a cat", "videos/a.mp4", "/data/a.mp4", "tracks/a.safetensors", 1.5,
            (Measurement("epe", 2.0, "px", "lower", curve=(None, 2.0)), Measurement("psnr", None, reason="identical"))),
        Row("b", None, "failed", error="b.mp4: damaged"),
    )  # fmt: skip
    return Run("nano", rows, (Measurement("fid", 3.0),), {"model": "nano"}, folder)


def test_a_run_comes_back_and_names_its_files_from_where_it_lies(tmp_path):
    run = run_of(tmp_path / "nano")
    path = run.save(tmp_path / "reports" / "nano.json")
    back = Run.load(path)
    assert back.rows[0].video == "../nano/videos/a.mp4"
    assert back.file(back.rows[0].video).resolve() == (tmp_path / "nano" / "videos" / "a.mp4").resolve()
    assert back.rows[0].reference == "/data/a.mp4"
    assert (back.rows[0].measurements, back.totals, back.facts) == (run.rows[0].measurements, run.totals, run.facts)
    assert back.rows[1] == run.rows[1]
    assert back.rows[0].value("epe") == 2.0
    assert back.rows[0].value("psnr") is None
    assert back.rows[0].value("ssim") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable"),
        ("[]", "found no object"),
        ("{}", "no results"),
        ('{"format": "motionloom.evaluation", "version": 9}', "version 9, expected 1"),
        ('{"format": "motionloom.evaluation", "version": 1}', "damaged"),
        ('{"format": "motionloom.evaluation", "version": 1, "name": "x", "rows": [{"case": "a"}]}', "damaged"),
        (
            '{"format": "motionloom.evaluation", "version": 1, "name": "x", "rows": '
            '[{"case": "a", "seed": 0, "status": "maybe"}]}',
            "row 'a': damaged",
        ),
    ],
)
def test_what_is_no_run_says_so(tmp_path, text, message):
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        Run.load(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ('"seed": "1"', "seed: found '1', expected a whole number"),
        ('"seed": true', "seed: found True"),
        ('"seconds": "long"', "seconds: found 'long', expected a number"),
        ('"category": 3', "category: found 3, expected text"),
        ('"video": ["a.mp4"]', r"video: found \['a.mp4'\], expected text"),
        ('"facts": []', "facts: found"),
        ('"seconds": NaN', "not readable .found NaN"),
        ('"measurements": [{"name": "epe", "value": 1e999}]', "row 'a': measurement 'epe': damaged .epe: found inf"),
    ],
)
def test_rows_of_other_types_are_refused(tmp_path, values, message):
    path = tmp_path / "run.json"
    row = '{"case": "a", "status": "done", ' + ("" if "seed" in values else '"seed": 0, ') + values + "}"
    path.write_text('{"format": "motionloom.evaluation", "version": 1, "name": "x", "rows": [' + row + "]}")
    with pytest.raises(FileFormatError, match=message):
        Run.load(path)


def test_a_missing_run(tmp_path):
    with pytest.raises(FileFormatError, match="no such file"):
        Run.load(tmp_path / "run.json")


def test_tracks_come_back(tmp_path):
    rng = np.random.default_rng(0)
    wanted, measured = (
        Tracks(rng.uniform(0, 30, (5, 3, 2)).astype(np.float32), rng.random((5, 3)) > 0.4, (32, 48), 8.0)
        for _ in range(2)
    )
    save_tracks(tmp_path / "tracks" / "a.safetensors", wanted, measured)
    back = load_tracks(tmp_path / "tracks" / "a.safetensors")
    assert back == (wanted, measured)
    (tmp_path / "b.safetensors").write_bytes(b"no")
    for name in ("b.safetensors", "c.safetensors"):
        with pytest.raises(FileFormatError, match=name):
            load_tracks(tmp_path / name)
