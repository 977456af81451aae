from __future__ import annotations

import pytest

from motionloom.errors import InputError
from motionloom.train.conditions import ConditionMix
from motionloom.train.nano import VALIDATION_SEED, NanoRecipe, Stage

THREE = NanoRecipe(stages=(Stage(64, 8, 3.0), Stage(128, 3, 1.0), Stage(128, 3, 4.0, kind="few_steps")))


@pytest.mark.parametrize(
    ("share", "number"), [(0.0, 0), (0.374, 0), (0.376, 1), (0.499, 1), (0.5, 2), (1.0, 2), (9.0, 2)]
)
def test_shares_of_the_budget_name_the_stage(share: float, number: int):
    assert THREE.stage_number(share) == number
    assert THREE.stage(share) is THREE.stages[number]


def test_distilled_after_a_quarter_of_the_first_few_steps_stage():
    assert [THREE.is_distilled(share) for share in (0.0, 0.5, 0.62, 0.63, 1.0)] == [False, False, False, True, True]
    assert not NanoRecipe(stages=(Stage(64, 1, 1.0),)).is_distilled(1.0)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"side": 20}, "multiple of 8"),
        ({"batch": 0}, "more than nothing"),
        ({"share": 0.0}, "more than nothing"),
        ({"least_time": 0.9, "most_time": 0.9}, "least < most"),
        ({"most_time": 1.5}, "least < most"),
        ({"view": 0.0}, "above 0 to 1"),
        ({"view": 1.5}, "above 0 to 1"),
    ],
)
def test_stages_that_cannot_be(wrong: dict, said: str):
    with pytest.raises(InputError, match=said):
        Stage(**{"side": 64, "batch": 2, "share": 1.0, **wrong})


def test_recipes_that_cannot_be():
    with pytest.raises(InputError, match="seed"):
        NanoRecipe(seed=VALIDATION_SEED)
    with pytest.raises(InputError, match="stages"):
        NanoRecipe(stages=())
    with pytest.raises(InputError, match="batch_scale: found 0"):
        NanoRecipe(batch_scale=0)
    with pytest.raises(InputError, match=r"1\.2 in all"):
        ConditionMix(dense=0.7, densified=0.5, boxes=0.0)
    with pytest.raises(InputError, match="last_frame"):
        ConditionMix(last_frame=1.5)
