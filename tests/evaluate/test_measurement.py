import json
import math

import pytest

from motionloom.errors import FileFormatError, MotionloomError
from motionloom.evaluate.measurement import Measurement, UsedWeights


def test_a_number_that_is_none_is_refused():
    for value in (math.nan, math.inf):
        with pytest.raises(MotionloomError, match="finite"):
            Measurement("epe", value)
    with pytest.raises(MotionloomError, match="neither a value nor a reason"):
        Measurement("epe", None)
    assert Measurement("epe", None, reason="nothing visible").value is None
    for value in (math.nan, math.inf):
        with pytest.raises(MotionloomError, match="epe: its curve has a value that is not finite"):
            Measurement("epe", 1.0, curve=(None, value))


def test_the_record_is_json_and_comes_back():
    whole = Measurement(
        "fid", 12.5, "", "lower", "biased covariance", 3, 17, (128, 64), UsedWeights("inception-fid", "ab"), True, None,
        (None, 1.0, 2.5), "3 samples for 2048 dimensions",
    )  # fmt: skip
    for one in (whole, Measurement("psnr", None, "dB", reason="identical")):
        assert Measurement.from_record(json.loads(json.dumps(one.record()))) == one
    assert Measurement("x", 1.0).record() == {"name": "x", "value": 1.0}


def test_damaged_records_say_which():
    for record in ({"name": "epe", "value": "3"}, {"name": "epe"}, {"name": "epe", "value": 1.0, "colour": "red"}):
        with pytest.raises(FileFormatError, match="measurement 'epe': damaged"):
            Measurement.from_record(record)
