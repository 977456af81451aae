from pathlib import Path

import pytest

from motionloom.errors import FileFormatError, InputError
from motionloom.evaluate.bench import Candidate
from motionloom.evaluate.bench.candidate import refuse_twins, weights_signature
from motionloom.models.parameters import Parameters


@pytest.mark.parametrize(
    ("text", "label", "model", "method", "guided"),
    [
        ("nano", "nano", "nano", None, True),
        ("nano:wan_move", "nano:wan_move", "nano", "wan_move", True),
        ("nano:unguided", "nano:unguided", "nano", None, False),
        ("nano:wan_move:unguided", "nano:wan_move:unguided", "nano", "wan_move", False),
        ("base=nano:unguided", "base", "nano", None, False),
        ("my run=warp", "my run", "warp", None, True),
        ("Wan-AI/Wan2.1-I2V-14B-480P", "Wan-AI/Wan2.1-I2V-14B-480P", "Wan-AI/Wan2.1-I2V-14B-480P", None, True),
        ("owner/name:ati", "owner/name:ati", "owner/name", "ati", True),
        (r"C:\models\nano", r"C:\models\nano", r"C:\models\nano", None, True),
        (r"mine=D:\models\nano:wan_move", "mine", r"D:\models\nano", "wan_move", True),
        ("C:nano", "C:nano", "C:nano", None, True),
        ("./runs/nano:ati", "nano:ati", "./runs/nano", "ati", True),
        ("/data/a=b/nano", "nano", "/data/a=b/nano", None, True),
        ("x=/data/a=b/nano:ati", "x", "/data/a=b/nano", "ati", True),
    ],
)
def test_models_are_written_as_people_write_them(text, label, model, method, guided):
    found = Candidate.parse(text)
    assert (found.model, found.parameters.method, found.guided) == (model, method, guided)
    if "\\" not in text:  # how a Windows path is called here depends on the system
        assert found.label == label
    assert Candidate.from_record(found.record()) == found


def test_a_path_with_a_colon_or_an_equals_sign_is_the_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run:ati").mkdir()
    (tmp_path / "a=b").mkdir()
    assert Candidate.parse("run:ati").model == "run:ati"
    assert Candidate.parse("run:ati:wan_move").parameters.method == "wan_move"
    assert (Candidate.parse("a=b").model, Candidate.parse("a=b").label) == ("a=b", "a=b")


def test_videos_made_elsewhere(tmp_path):
    found = Candidate.parse(f"theirs=@{tmp_path}")
    assert (found.label, found.model, found.videos) == ("theirs", "", tmp_path)
    assert Candidate.parse(f"@{tmp_path}").label == tmp_path.name
    assert found.video("case", 3) == tmp_path / "case.mp4"
    assert found.seeds([3, 4]) == [3], "one folder of videos is one seed"
    (tmp_path / "seed-4").mkdir()
    assert (found.seeds([3, 4]), found.video("case", 4)) == ([4], tmp_path / "seed-4" / "case.mp4")
    assert Candidate.from_record(found.record()) == found
    with pytest.raises(InputError, match=r"theirs: found no folder at .*gone, expected one with <id>\.mp4"):
        Candidate.parse(f"theirs=@{tmp_path / 'gone'}").seeds([0])


@pytest.mark.parametrize("label", ["", "..", "---", "report.html", "Reference-Features", "reference features"])
def test_labels_that_could_not_be_folders(label):
    with pytest.raises(InputError, match="label: found"):
        Candidate(label, "warp")


def test_labels_become_folders_that_do_not_clash():
    assert Candidate.parse("nano:wan_move").folder_name == "nano-wan_move"
    assert Candidate.parse("Wan-AI/Wan2.1").folder_name == "Wan-AI-Wan2.1"
    for label in ("..", "///", " "):
        with pytest.raises(InputError, match="label: found"):
            Candidate(label, "nano")
    with pytest.raises(InputError, match="'nano:ati' and 'NANO/ati' would share a folder"):
        refuse_twins([Candidate.parse("nano:ati"), Candidate("NANO/ati", "nano")])
    with pytest.raises(InputError, match="found none"):
        refuse_twins([])
    with pytest.raises(InputError, match="expected MODEL"):
        Candidate.parse("")
    with pytest.raises(InputError, match="expected a model, or a folder"):
        Candidate("both", "nano", videos=Path("x"))
    with pytest.raises(FileFormatError, match="candidate: damaged"):
        Candidate.from_record({"label": "a"})


def test_settings_hold_what_is_not_as_usual():
    found = Candidate.parse("nano:wan_move", Parameters(num_inference_steps=4, strength=0.5))
    assert found.settings() == {
        "model": "nano", "guided": True, "method": "wan_move", "num_inference_steps": 4, "strength": 0.5,
    }  # fmt: skip


def test_weights_are_told_apart_without_loading(tmp_path):
    weights = tmp_path / "model" / "weights.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"1")
    candidate = Candidate.parse(str(weights.parent))
    before = weights_signature(candidate)
    assert before == weights_signature(candidate)
    weights.write_bytes(b"22")
    assert before != weights_signature(candidate)
    assert weights_signature(Candidate.parse("owner/name")) is None, "a hub id has to be loaded to be known"
    assert weights_signature(Candidate.parse("nano")) != weights_signature(Candidate.parse("warp"))
    lora = tmp_path / "a.safetensors"
    lora.write_bytes(b"1")
    plain = Candidate.parse("nano")
    assert weights_signature(Candidate("n", "nano", Parameters(loras=(f"{lora}:0.5",)))) != weights_signature(plain)
