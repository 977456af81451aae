from __future__ import annotations

import pytest

from motionloom.errors import InputError
from motionloom.methods.sizes import size_for_area
from motionloom.models.catalog import find_model, list_models
from motionloom.models.clip_shape import shape_of_card


def test_nano_is_known_without_weights_as_it_is_loaded():
    import motionloom as ml

    for method in ("ati", "wan_move", "time_to_move"):
        model = ml.load("nano", method=method)
        assert shape_of_card(model.card, model.name) == model.shape


def test_published_models_choose_the_sizes_of_their_programs():
    shape = shape_of_card(find_model("ati"))
    assert shape is not None
    assert (shape.strides, shape.step) == ((4, 8), 16)
    # The floor of 479.999..., as the program has it.
    assert shape.default_size((480, 832)) == (464, 832) == size_for_area((480, 832), 480 * 832)
    assert shape.whole_latents(78) == 81
    small = shape_of_card(find_model("wan2.2-5b"))
    assert small is not None
    assert (small.strides, small.step) == ((4, 16), 32)


def test_cogvideox_makes_one_size_and_length():
    shape = shape_of_card(find_model("cogvideox"))
    assert shape is not None
    assert shape.default_size((900, 300)) == (480, 720) == shape.legal_size((480, 720))
    with pytest.raises(InputError, match="made for this one size"):
        shape.legal_size((480, 704))
    with pytest.raises(InputError, match="at most 49"):
        shape.legal_frames(50)


def test_every_model_of_the_catalogue_has_a_shape_or_any_size():
    for card in list_models():
        shape = shape_of_card(card)
        assert (shape is None) == (card.name == "warp")
        if shape is not None:
            assert shape.legal_size(shape.default_size((300, 450))) == shape.default_size((300, 450))


def test_odd_sizes_are_refused_with_the_nearest_one():
    shape = shape_of_card(find_model("nano"))
    assert shape is not None
    with pytest.raises(InputError, match="the nearest is 96x128"):
        shape.legal_size((130, 100))
