import numpy as np
import pytest

from motionloom.draw import contact_sheet, side_by_side
from motionloom.errors import InputError
from motionloom.media import Clip


def numbered(count, size, fps):
    return Clip(np.stack([np.full((*size, 3), 10 * k, np.uint8) for k in range(count)]), fps)


def test_side_by_side():
    both = side_by_side(numbered(10, (120, 160), 10.0), numbered(3, (60, 60), 5.0))
    assert both.frames.shape[1:3] == (120, 160 + 2 + 120)
    assert both.num_frames == 10
    right = both.frames[:, 60, -10, 0]
    assert right.tolist() == [0, 0, 10, 10, 20, 20, 20, 20, 20, 20]
    assert both.frames[:, 60, 50, 0].tolist() == [10 * k for k in range(10)]
    labelled = side_by_side(numbered(2, (120, 160), 10.0), numbered(2, (120, 160), 10.0), labels=["before", "a " * 90])
    assert labelled.frames.shape[1] > 120
    assert labelled.frames[1, :12, 5:80].max() > 200  # the text
    assert np.array_equal(labelled.frames[1, -120:, :160], numbered(2, (120, 160), 10.0).frames[1])
    with pytest.raises(InputError, match=r"labels: found 1, expected 2"):
        side_by_side(both, both, labels=["one"])
    with pytest.raises(InputError, match="clips"):
        side_by_side()


def test_contact_sheet_shows_first_and_last():
    sheet = contact_sheet(numbered(21, (60, 80), 10.0), columns=4, width=400, labels=False)
    cells = [sheet[20 + row * 74, 40 + column * 99, 0] for row in range(3) for column in range(4)]
    assert cells[0] == 0
    assert cells[-1] == 200
    assert cells == sorted(cells)
    assert sheet.shape[1] <= 400
    one = contact_sheet(numbered(1, (60, 80), 10.0))
    assert one.ndim == 3
    assert (contact_sheet(numbered(21, (60, 80), 10.0), width=400) != sheet).any()
    with pytest.raises(InputError, match="columns"):
        contact_sheet(numbered(2, (60, 80), 10.0), columns=0)
