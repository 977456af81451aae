import os

import pytest

from motionloom.errors import FileFormatError, InputError
from motionloom.evaluate.bench import Candidate
from motionloom.evaluate.bench.folder import CandidateFolder, locked, settle, sweep
from motionloom.evaluate.run import Row, read_json, write_json
from motionloom.models.parameters import Parameters

SETTINGS = {
    "benchmark": "b", "language": "en", "mode": "single", "seed_rule": "same", "tracker": "offline",
    "root": "/b", "digest": "1", "seeds": [0], "metrics": ["psnr"],
}  # fmt: skip


def test_seeds_and_metrics_join_and_other_settings_are_refused(tmp_path):
    out = tmp_path / "out"
    settle(out, SETTINGS, overwrite=False)
    settle(
        out, {**SETTINGS, "seeds": [1], "metrics": ["ssim", "psnr"], "root": "/moved", "digest": "2"}, overwrite=False
    )
    found = read_json(out / "benchmark.json")
    assert (found["seeds"], found["metrics"], found["root"], found["digest"]) == (
        [0, 1],
        ["psnr", "ssim"],
        "/moved",
        "2",
    )
    other = {**SETTINGS, "mode": "multi", "tracker": "tapir"}
    message = (
        r'out: was measured with mode "single", now "multi", tracker "offline", now "tapir"; choose another .*--over'
    )
    with pytest.raises(InputError, match=message):
        settle(out, other, overwrite=False)
    assert read_json(out / "benchmark.json")["mode"] == "single"
    settle(out, other, overwrite=True)
    assert read_json(out / "benchmark.json")["mode"] == "multi"


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match=r"holds other things and no benchmark\.json"):
        settle(tmp_path, SETTINGS, overwrite=True)
    (tmp_path / "benchmark.json").write_text('{"format": "else"}')
    with pytest.raises(FileFormatError, match="is not that of a benchmark run"):
        settle(tmp_path, SETTINGS, overwrite=False)


def test_parameters_of_a_label_are_not_changed_by_the_way(tmp_path):
    place, candidate = CandidateFolder(tmp_path / "nano"), Candidate.parse("nano")
    place.settle(candidate, overwrite=False)
    write_json(place.record, {"settings": candidate.settings()})
    place.settle(candidate, overwrite=False)
    changed = Candidate.parse("nano", Parameters(num_inference_steps=4, size=(64, 96)))
    with pytest.raises(
        InputError, match=r"with size as usual, now \[64, 96\], num_inference_steps as usual, now 4; LABEL="
    ):
        place.settle(changed, overwrite=False)
    place.settle(changed, overwrite=True)


def test_a_damaged_row_is_put_aside(tmp_path):
    place = CandidateFolder(tmp_path)
    assert place.read_row("a", 0) is None
    place.write_row(Row("a", 0, "done"), 0)
    assert place.read_row("a", 0) == Row("a", 0, "done")
    for text in ('{"case": "a", "se', '{"case": "a", "seed": 0, "status": "maybe"}', "[]", ""):
        place.row("a", 0).write_text(text)
        assert place.read_row("a", 0) is None
        assert not place.row("a", 0).exists()
        assert (tmp_path / "rows" / "a.seed-0.json.damaged").read_text() == text


def test_only_one_works_on_a_part(tmp_path):
    def tried():
        """Locks are those of an opened file, so that this process refuses itself."""
        found = []
        for part in (None, "1/2", "2/2"):
            try:
                with locked(tmp_path, part) as alone:
                    found.append(f"in, alone: {alone}")
            except InputError as error:
                found.append(str(error).replace(str(tmp_path), "OUT"))
        return found

    me = f"process {os.getpid()} on "
    with locked(tmp_path, None) as alone:
        assert alone
        found = tried()
        assert all(line.startswith(f"OUT: {me}") for line in found)
        assert found[0].endswith("is working there; wait for it, or divide the work with --shard 1/2 and 2/2")
    with locked(tmp_path, "1/2") as alone:
        assert not alone
        found = tried()
        assert found[0].startswith("OUT: ")
        assert found[1].startswith(f"shard 1/2 of OUT: {me}")
        assert found[2] == "in, alone: False"
    assert tried() == ["in, alone: True", "in, alone: False", "in, alone: False"]


def test_what_a_killed_worker_left_is_removed(tmp_path):
    half = tmp_path / "nano" / "videos" / "seed-0" / ".case.0a1b2c3d.part.mp4"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    whole = half.with_name("case.part.mp4")
    whole.write_bytes(b"whole")
    sweep([tmp_path])
    assert (half.exists(), whole.exists()) == (False, True)
