"""What is known of a model before its weights are read: whether it starts from a photograph, before all."""

import runpy
from pathlib import Path

import pytest

from motionloom.models.before_loading import card_before_loading
from motionloom.models.catalog import list_models
from motionloom.models.clip_shape import shape_of_card
from motionloom.models.loading import load

tiny = runpy.run_path(str(Path(__file__).with_name("tiny_tora.py")))


@pytest.fixture(scope="module", params=["t2v", "learned"])
def saved(request, tmp_path_factory):
    """A tiny Tora model in the layouts of its publications, and whether it starts from a photograph."""
    folder = tmp_path_factory.mktemp("tora")
    pipe = tiny["pipeline"](request.param)
    adapter = tiny["adapter"](pipe)
    tiny["save_diffusers"](folder / "diffusers", pipe, adapter)
    tiny["save_sat"](folder / "sat", pipe, adapter)
    tiny["save_addon"](folder / "addon", adapter, "_I2V" if request.param == "learned" else "")
    return folder, request.param == "learned"


def test_names_of_the_catalogue_and_their_aliases():
    for card in list_models():
        for name in (card.name, *card.aliases, card.name.upper()):
            assert card_before_loading(name).name == card.name
    assert [card_before_loading(name).takes_image for name in ("nano", "tora-t2v", "tora-i2v")] == [True, False, True]


@pytest.mark.slow
def test_a_folder_says_what_it_holds(saved, tiny_folder):
    folder, takes_image = saved
    card = card_before_loading(folder / "diffusers")
    assert (card.methods, card.takes_image) == (("tora",), takes_image)
    model = load(folder / "diffusers", device="cpu")
    assert (model.takes_image, model.card.takes_image) == (takes_image, takes_image)
    assert (card.reads_text, model.reads_text) == (False, False)  # the tiny one has no text encoder
    assert card_before_loading(str(tiny_folder)).takes_image


def test_the_sizes_of_a_folder_are_those_of_the_loaded_model(saved):
    folder, _ = saved
    shape = shape_of_card(card_before_loading(folder / "diffusers"))
    made = load(folder / "diffusers", device="cpu").shape
    assert (shape.strides, shape.step, shape.native_size) == (made.strides, made.step, made.native_size)


def test_checkpoints_without_a_configuration_say_it_by_their_shapes(saved):
    folder, takes_image = saved
    for path in (folder / "sat", next((folder / "sat").rglob("*.pt"))):
        card = card_before_loading(path)
        assert (card.methods, card.takes_image) == (("tora",), takes_image)


def test_what_only_loading_tells(saved, tmp_path):
    folder, _ = saved
    (tmp_path / "empty").mkdir()
    for path in (folder / "addon", tmp_path / "empty", tmp_path / "none", "somebody/model", "dream"):
        assert card_before_loading(path) is None


def test_a_stock_model_that_follows_no_tracks_has_no_card(tmp_path):
    for kind in ("t2v", "learned"):
        tiny["pipeline"](kind).save_pretrained(tmp_path / kind)
    assert card_before_loading(tmp_path / "t2v") is None  # loading says what to do with it
    assert card_before_loading(tmp_path / "learned").takes_image
