import hashlib
from pathlib import Path

import pytest

from motionloom.errors import InputError
from motionloom.evaluate import weights
from motionloom.evaluate.published_weights import WEIGHTS
from motionloom.evaluate.weights import WeightsMissing, find_weights, is_missing, parse_weights, sha256_of


@pytest.fixture(autouse=True)
def nothing_here(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    for each in WEIGHTS.values():
        monkeypatch.delenv(each.variable, raising=False)


def put(path: Path, content: bytes = b"weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_what_is_missing_names_the_file_its_source_its_place_and_its_licence(tmp_path):
    for name, each in WEIGHTS.items():
        with pytest.raises(WeightsMissing) as error:
            find_weights(name)
        text = str(error.value)
        assert each.file in text
        assert (each.repo or each.page or "") in text
        assert each.licence in text
        assert str(tmp_path / "models") in text
        assert f"--weights {name}=PATH" in text
        assert each.variable in text


def test_the_order_of_places(tmp_path, monkeypatch):
    home = put(tmp_path / "models" / "metrics" / "i3d_torchscript.pt")
    assert find_weights("i3d-torchscript") == home
    by_variable = put(tmp_path / "b.pt")
    monkeypatch.setenv("MOTIONLOOM_WEIGHTS_I3D_TORCHSCRIPT", str(by_variable))
    assert find_weights("i3d-torchscript") == by_variable
    given = put(tmp_path / "c.pt")
    assert find_weights("i3d-torchscript", {"i3d-torchscript": given}) == given
    assert sha256_of(given) == hashlib.sha256(b"weights").hexdigest()


def test_folders_need_a_configuration_and_weights(tmp_path):
    folder = tmp_path / "models" / "openai--clip-vit-base-patch32"
    put(folder / "config.json", b"{}")
    with pytest.raises(WeightsMissing):
        find_weights("clip-vit-base-patch32")
    put(folder / "model.safetensors")
    assert find_weights("clip-vit-base-patch32") == folder
    with pytest.raises(InputError, match="expected a folder with"):
        find_weights("dino-vitb16", {"dino-vitb16": put(tmp_path / "x.bin")})


def test_the_hubs_cache_is_looked_at(tmp_path):
    snapshot = tmp_path / "cache" / "models--facebook--dino-vitb16" / "snapshots" / "abc"
    put(snapshot / "config.json", b"{}")
    put(snapshot / "pytorch_model.bin")
    put(snapshot.parents[1] / "refs" / "main", b"abc")
    assert find_weights("dino-vitb16") == snapshot


def test_another_file_under_a_published_name_is_refused(tmp_path, monkeypatch):
    path = put(tmp_path / "models" / "metrics" / "alexnet-owt-7be5be79.pth", b"something else")
    with pytest.raises(InputError, match="is not the published"):
        find_weights("alexnet")
    monkeypatch.setattr(weights, "sha256_of", lambda path: "7be5be79" + "0" * 56)
    assert find_weights("alexnet") == path


def test_unknown_names_and_pairs(tmp_path):
    with pytest.raises(InputError, match="expected one of"):
        find_weights("gpt")
    path = put(tmp_path / "alex.pth")
    assert parse_weights([f"lpips-alex={path}"]) == {"lpips-alex": path}
    for pair, message in (
        ("lpips-alex=/x/y", "found nothing there, expected a file"),
        (f"lpips-alex={tmp_path}", "found a folder, expected a file"),
        (f"sam={tmp_path}", "found a folder, expected a folder with pytorch_model.bin and config.json"),
    ):
        with pytest.raises(InputError, match=message):
            parse_weights([pair])
    for pair in ("sam", "sam=", "gpt=/x"):
        with pytest.raises(InputError, match="expected NAME=PATH"):
            parse_weights([pair])


def test_fetching_asks_for_what_the_hub_has(tmp_path, monkeypatch):
    asked = []

    def fetch(card):
        asked.append([(file.repo, file.path) for file in card.files])
        put(tmp_path / "models" / "facebook--sam-vit-base" / "config.json", b"{}")

    monkeypatch.setattr("motionloom.models.fetch.fetch", fetch)
    found = find_weights("sam", allow_download=True)
    assert found == tmp_path / "models" / "facebook--sam-vit-base"
    assert ("facebook/sam-vit-base", "config.json") in asked[0]
    with pytest.raises(WeightsMissing):  # on no hub
        find_weights("i3d-tats", allow_download=True)


def test_a_single_file_of_the_hub_is_found_again_where_it_was_put(tmp_path, monkeypatch):
    asked = []

    def fetch(card):
        (file,) = card.files
        asked.append((file.repo, file.path))
        put(tmp_path / "models" / "OpenGVLab--InternVideoMAE_models" / file.path)

    monkeypatch.setattr("motionloom.models.fetch.fetch", fetch)
    found = find_weights("videomae-ssv2", allow_download=True)
    assert found.name == "vit_g_hybrid_pt_1200e_ssv2_ft.pth"
    assert find_weights("videomae-ssv2") == found
    assert asked == [("OpenGVLab/InternVideoMAE_models", "mae-g/vit_g_hybrid_pt_1200e_ssv2_ft.pth")]


def test_missing_is_what_cannot_be_had(tmp_path, monkeypatch):
    assert is_missing("sam")
    assert not is_missing("sam", allow_download=True)
    assert is_missing("i3d-tats", allow_download=True)  # on no hub
    put(tmp_path / "models" / "metrics" / "i3d_pretrained_400.pt")
    assert not is_missing("i3d-tats")
    put(tmp_path / "models" / "metrics" / "alexnet-owt-7be5be79.pth", b"something else")
    assert is_missing("alexnet")  # damaged
    monkeypatch.setenv("MOTIONLOOM_WEIGHTS_I3D_TATS", str(tmp_path / "gone"))
    assert is_missing("i3d-tats")  # the place that is said comes first
