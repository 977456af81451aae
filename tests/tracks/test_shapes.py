import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionloom.errors import InputError
from motionloom.tracks.shapes import Mask, Polygon, fill, lattice, rectangle

CANVAS = (30, 40)
VERTEX = st.tuples(st.floats(-10, 50, width=16), st.floats(-10, 40, width=16))


def pixel_centres(size):
    rows, columns = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5, indexing="ij")
    return np.stack([columns, rows], axis=-1)


@settings(max_examples=50)
@given(st.lists(VERTEX, min_size=3, max_size=7))
def test_a_polygon_holds_the_pixels_whose_centre_it_contains(vertices):
    polygon = Polygon(np.array(vertices, float) + 0.013, CANVAS)
    np.testing.assert_array_equal(polygon.raster(CANVAS), polygon.contains(pixel_centres(CANVAS)))


def test_a_rectangle_covers_its_pixels_exactly():
    shape = rectangle(3, 4, 10, 5, CANVAS)
    expected = np.zeros(CANVAS, bool)
    expected[4:9, 3:13] = True
    np.testing.assert_array_equal(shape.raster(CANVAS), expected)
    double = shape.raster((60, 80))
    assert double.sum() == 4 * 50
    assert double[8:18, 6:26].all()
    assert shape.bounds() == (3, 4, 13, 9)
    np.testing.assert_allclose(shape.centroid(), [8, 6.5])


def test_crossing_outlines_follow_the_even_odd_rule():
    bow = Polygon(np.array([[0, 0], [40, 30], [40, 0], [0, 30]], float), CANVAS)
    inside = bow.contains(np.array([[5.0, 15.0], [35.0, 15.0], [20.0, 3.0], [20.0, 27.0]]))
    assert inside.tolist() == [True, True, False, False]


def test_the_centroid_is_that_of_the_area():
    # An L of two squares and a bar; vertices crowd on one side on purpose.
    shape = Polygon(np.array([[0, 0], [1, 0], [2, 0], [3, 0], [20, 0], [20, 10], [10, 10], [10, 20], [0, 20]]), CANVAS)
    np.testing.assert_allclose(shape.centroid(), [25 / 3, 25 / 3])
    flat = Polygon(np.array([[0, 0], [10, 0], [5, 0]], float), CANVAS)
    np.testing.assert_allclose(flat.centroid(), [5, 0])


def test_a_mask_is_stretched_over_the_canvas():
    pixels = np.zeros((3, 4), bool)
    pixels[1, 2] = True
    mask = Mask(pixels, CANVAS)
    assert mask.contains(
        np.array([[20.0, 10.0], [29.9, 19.9], [30.0, 15.0], [19.9, 15.0], [-1.0, 15.0], [99.0, 15.0]])
    ).tolist() == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    raster = mask.raster(CANVAS)
    assert raster.sum() == 100
    assert raster[10:20, 20:30].all()
    assert mask.bounds() == (20, 10, 30, 20)
    np.testing.assert_allclose(mask.centroid(), [25, 15])
    np.testing.assert_array_equal(mask.raster((3, 4)), pixels)


def test_a_lattice_is_centred():
    points = lattice(0, 0, 40, 20, 10)
    assert points.tolist() == [[x, y] for y in (5, 15) for x in (5, 15, 25, 35)]
    assert lattice(0, 0, 4, 4, 100).tolist() == [[2, 2]]
    with pytest.raises(InputError, match="spacing: 1 px makes 1000000 grid points"):
        lattice(0, 0, 1000, 1000, 1)


def test_filling_keeps_inside_the_shape_and_the_canvas():
    shape = Polygon(np.array([[-20, -20], [20, -20], [20, 20], [-20, 20]], float), CANVAS)
    points = fill(shape, 5, CANVAS)
    assert len(points) == 16
    assert points.min() == 2.5
    assert points.max() == 17.5


def test_a_shape_too_thin_for_the_grid_gets_one_point():
    shape = Polygon(np.array([[0, 0], [1.5, 0], [40, 28.5], [40, 30], [38.5, 30], [0, 1.5]], float), CANVAS)
    bent = Mask(shape.raster(CANVAS) & (pixel_centres(CANVAS)[..., 0] < 10), CANVAS)
    (point,) = fill(bent, 100, CANVAS)
    assert bent.contains(point)


def test_a_shape_off_the_canvas_is_refused():
    with pytest.raises(InputError, match="covers no pixel of the 40x30 canvas"):
        fill(rectangle(100, 100, 10, 10, CANVAS), 5, CANVAS)
