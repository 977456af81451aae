from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionloom.errors import InputError
from motionloom.evaluate.statistics import estimate, holm, over_time, paired, sign_flip_test, sign_test

NUMBERS = st.floats(-1e3, 1e3, allow_nan=False).map(lambda value: round(value, 3))


def test_seeds_are_averaged_within_a_case_first():
    found = estimate([1.0, 3.0, 10.0], ["a", "a", "b"])
    assert found.mean == pytest.approx((2 + 10) / 2)
    assert (found.n, found.videos) == (2, 3)
    assert found.sd == pytest.approx(np.std([2, 10], ddof=1))


def test_weights_pool_what_the_values_are_means_of():
    found = estimate([1.0, 3.0, 10.0], ["a", "a", "b"], [10, 30, 60])
    assert found.mean == pytest.approx((10 + 90 + 600) / 100)


def test_weighted_interval_agrees_with_resampling_by_hand():
    rng = np.random.default_rng(1)
    values, weights = rng.normal(5, 2, 40), rng.integers(1, 100, 40)
    found = estimate(values, weights=weights)
    drawn = rng.integers(0, 40, (20_000, 40))
    means = (values * weights)[drawn].sum(1) / weights[drawn].sum(1)
    assert [found.low, found.high] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.06)


def test_few_values():
    assert estimate([]).mean is None
    one = estimate([4.0])
    assert (one.mean, one.low, one.high, one.sd, one.n) == (4.0, None, None, None, 1)
    seeds = estimate([4.0, 6.0], ["a", "a"])
    assert (seeds.mean, seeds.low, seeds.n, seeds.videos) == (5.0, None, 1, 2)
    same = estimate([0.1, 0.1, 0.1])
    assert same.low == pytest.approx(0.1, abs=1e-9)
    assert same.high == pytest.approx(0.1, abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1.0, float("nan")],), "not finite"),
        (([[1.0]],), "expected \\[V\\]"),
        (([1.0], ["a", "b"]), "one for each value"),
        (([1.0, 2.0], None, [0.0, 0.0]), "not all zero"),
        (([1.0, 2.0], None, [1.0, -1.0]), "zero or more"),
    ],
)
def test_refuses(arguments, words):
    with pytest.raises(InputError, match=words):
        estimate(*arguments)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NUMBERS, st.sampled_from("abcdefg")), min_size=1, max_size=30), st.randoms())
def test_order_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    for one, other in (
        (estimate(*zip(*rows, strict=True)), estimate(*zip(*shuffled, strict=True))),
        (estimate([value for value, _ in rows]), estimate([value for value, _ in shuffled])),
    ):
        assert one == other
        if one.low is not None:
            assert one.low - 1e-3 <= one.mean <= one.high + 1e-3


@settings(max_examples=40, deadline=None)
@given(st.lists(NUMBERS, min_size=2, max_size=12), st.floats(-50, 50), st.floats(0.5, 20))
def test_moves_with_its_values(values, shift, scale):
    before, after = estimate(values), estimate(np.array(values) * scale + shift)
    for name in ("mean", "low", "high"):
        assert getattr(after, name) == pytest.approx(getattr(before, name) * scale + shift, abs=1e-3, rel=1e-4)


def test_coverage():
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(400):
        found = estimate(rng.exponential(2.0, 40), boot=1000)
        inside += found.low <= 2.0 <= found.high
    # A percentile interval of 40 skewed values covers a little less than it says.
    assert 0.89 <= inside / 400 <= 0.98


def test_paired_is_tighter_than_unpaired():
    rng = np.random.default_rng(3)
    hard = rng.normal(10, 4, 50)
    first = {(f"case{i}", 0): float(hard[i] + rng.normal(0, 0.3)) for i in range(50)}
    second = {key: value - 0.5 + float(rng.normal(0, 0.3)) for key, value in first.items()}
    found = paired(first, second, "lower")
    apart = [estimate(list(side.values())) for side in (first, second)]
    unpaired = np.hypot(*(each.high - each.low for each in apart))
    assert found.high - found.low < 0.15 * unpaired
    assert found.low < -0.5 < found.high < 0
    assert found.p < 0.001
    assert (found.mean, found.second - found.first) == pytest.approx((found.mean, found.mean))


def test_only_common_pairs_are_compared():
    first = {("a", 0): 1.0, ("a", 1): 3.0, ("b", 0): 5.0, ("only", 0): 99.0}
    second = {("a", 0): 2.0, ("a", 1): 2.0, ("b", 0): 4.0, ("b", 1): 77.0}
    found = paired(first, second, "lower")
    assert (found.n, found.videos) == (2, 3)
    assert (found.first, found.second, found.mean) == (3.5, 3.0, -0.5)
    assert (found.wins, found.ties, found.losses, found.win_rate) == (1, 1, 0, 0.75)
    higher = paired(first, second, "higher")
    assert (higher.wins, higher.losses, higher.win_rate) == (0, 1, 0.25)
    assert paired(first, second).win_rate is None
    assert paired(first, {}).mean is None


def test_opposite_order_is_the_opposite_result():
    rng = np.random.default_rng(4)
    first, second = ({(str(i), None): float(value) for i, value in enumerate(rng.normal(size=20))} for _ in range(2))
    one, other = paired(first, second, "higher"), paired(second, first, "higher")
    assert one.mean == pytest.approx(-other.mean)
    assert (one.wins, one.losses) == (other.losses, other.wins)
    assert (one.p, one.p_sign) == (pytest.approx(other.p), other.p_sign)


def test_sign_flips_are_all_tried():
    differences = [1.0, 2.0, -0.5, 3.0, 1.5]
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=5)]
    assert sign_flip_test(differences) == np.mean(np.array(sums) >= 7.0 - 1e-9)
    assert sign_flip_test([1.0] * 6) == 2 / 64
    assert sign_flip_test([0.0, 0.0]) == 1.0
    assert sign_flip_test([1.0]) is None


def test_random_sign_flips_are_calibrated():
    rng = np.random.default_rng(7)
    found = [sign_flip_test(rng.normal(0, 1, 30)) for _ in range(300)]
    assert 0.02 <= np.mean(np.array(found) <= 0.05) <= 0.085
    assert sign_flip_test(rng.normal(3, 1, 30)) == pytest.approx(1 / 5000)


def test_sign_test():
    assert sign_test(10, 0) == pytest.approx(2 / 1024)
    assert sign_test(5, 5) == 1.0
    assert sign_test(0, 0) is None


def test_holm():
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]


def test_curves():
    found = over_time([[None, 1.0, 2.0], [None, 3.0], [None, 5.0, 8.0]], ["a", "a", "b"])
    assert found.mean == (None, 3.5, 5.0)
    assert found.n == (0, 2, 2)
    assert found.low[0] is None
    assert (found.low[1], found.high[1]) == pytest.approx((2.0, 5.0))
    single = over_time([[1.0, 2.0]])
    assert (single.mean, single.low, single.n) == ((1.0, 2.0), (None, None), (1, 1))
    assert over_time([]).mean == ()
    with pytest.raises(InputError, match="not finite"):
        over_time([[1.0, float("inf")]])


def test_curve_interval_is_that_of_the_frame_alone():
    rng = np.random.default_rng(8)
    values = rng.normal(3, 1, (30, 4))
    found = over_time([list(row) for row in values], list(range(30)))
    for frame in range(4):
        alone = estimate(values[:, frame], list(range(30)))
        assert (found.mean[frame], found.low[frame], found.high[frame]) == pytest.approx(
            (alone.mean, alone.low, alone.high), abs=1e-5
        )
