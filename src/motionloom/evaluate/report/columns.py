"""Which numbers may stand in one column, and the results of several runs aligned by case and seed.

A column holds numbers of one name, unit, variant, network and kind (a fallback never stands with what it stands in
for). Sizes of videos divide a column only where runs disagree about the size of the same case: a set of cases of mixed
sizes has one mean, but a case at 480x832 is not compared with itself at 240x416.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from motionloom.errors import InputError
from motionloom.evaluate.measurement import Better, Measurement, UsedWeights
from motionloom.evaluate.report.groups import group_of, main_metrics
from motionloom.evaluate.run import Row, Run
from motionloom.evaluate.statistics import Difference, Estimate, Pair, estimate, paired

Size = tuple[int, int]


@dataclass(frozen=True)
class Column:
    """What is compared: everything two numbers must have in common.

    Attributes:
        size: of the videos, short side first; None where sizes do not divide the column.
        Others as `Measurement`.
    """

    name: str
    variant: str = ""
    unit: str = ""
    better: Better | None = None
    fallback: bool = False
    weights: UsedWeights | None = None
    size: Size | None = None

    @property
    def qualifiers(self) -> str:
        """What tells this column from others of its name; empty where nothing was chosen."""
        size = f"{self.size[0]}x{self.size[1]}" if self.size else ""
        network = f"{self.weights.name} {self.weights.sha256[:8]}".strip() if self.weights else ""
        return ", ".join(part for part in (self.variant, network, size) if part)


@dataclass(frozen=True)
class Cell:
    """One column of one run.

    Attributes:
        values: by (case, seed). missing: why there is none, by (case, seed).
    """

    values: Mapping[Pair, Measurement]
    missing: Mapping[Pair, str]

    def numbers(self, cases: Iterable[str] | None = None) -> Mapping[Pair, float]:
        """The values alone, of some cases or all."""
        if cases is None:
            return self._numbers
        chosen = set(cases)
        return {pair: value for pair, value in self._numbers.items() if pair[0] in chosen}

    @cached_property
    def _numbers(self) -> dict[Pair, float]:
        return {pair: found.value for pair, found in self.values.items() if found.value is not None}

    def reasons(self, cases: Iterable[str] | None = None) -> Counter[str]:
        chosen = None if cases is None else set(cases)
        return Counter(why for pair, why in self.missing.items() if chosen is None or pair[0] in chosen)

    def estimate(self, cases: Iterable[str] | None = None, *, weighting: str = "video") -> Estimate:
        """The mean over cases.

        Args:
            weighting: "video" counts each case once, as papers do; "values" and "frames" weigh each video by how many
                values, or frames, its number is a mean of.
        """
        numbers = self.numbers(cases)
        weights = None if weighting == "video" else [_weight(self.values[pair], weighting) for pair in numbers]
        return estimate(list(numbers.values()), [case for case, _ in numbers], weights)


class Results:
    """Several runs side by side.

    Attributes:
        runs: with their rows. labels: their names, made different from each other.
        cases: all names of cases, in the order of the first run that has them; categories: of each case.
        columns: of single videos, what is asked first before the rest, see `motionloom.evaluate.report.groups`.
        main: those of them that a report shows at once.
        cells: by (number of the run, column).
        totals: metrics of whole sets, by column: one measurement per run, or None.

    Raises:
        InputError: no run, or a run that has the same case and seed, or the same column of one video, twice.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        if not runs:
            raise InputError("runs: found none, expected at least one")
        self.runs = tuple(runs)
        self.labels = _labels(runs)
        for label, run in zip(self.labels, runs, strict=True):
            twice = [pair for pair, count in Counter((row.case, row.seed) for row in run.rows).items() if count > 1]
            if twice:
                raise InputError(f"{label}: case {twice[0][0]!r} with seed {twice[0][1]} is there twice")
        self.cases = list(dict.fromkeys(row.case for run in runs for row in run.rows))
        self.categories: dict[str, str | None] = {}
        for run in runs:
            for row in run.rows:
                self.categories[row.case] = self.categories.get(row.case) or row.category
        per_video = [[(row, each) for row in run.rows for each in row.measurements] for run in runs]
        columns, cells = _aligned(per_video, self.labels)
        main = main_metrics(list(dict.fromkeys(column.name for column in columns if _has_values(column, cells, runs))))
        self.columns = sorted(columns, key=lambda column: (group_of(column.name), *_rank(main, column.name)))
        self.main = {column for column in self.columns if column.name in main}
        rows = [{(row.case, row.seed): row for row in run.rows} for run in runs]
        self.cells = {
            (place, column): Cell(
                {(row.case, row.seed): found for row, found in cells[place, column] if found.value is not None},
                _missing(rows[place], cells[place, column]),
            )
            for place in range(len(runs))
            for column in self.columns
        }
        whole = Row("the whole set", None, "done")
        columns, totals = _aligned([[(whole, each) for each in run.totals] for run in runs], self.labels)
        self.totals = {
            column: [next((found for _, found in totals[place, column]), None) for place in range(len(runs))]
            for column in columns
        }

    @cached_property
    def primary(self) -> Column | None:
        """What cases are called bad by: EPE where it was measured, else the first column that has a direction."""
        known = [column for column in self.columns if column.better and self._count(column)]
        errors = [column for column in known if column.name == "epe"]
        return max(errors, key=self._count) if errors else next(iter(known), None)

    def difference(self, first: int, second: int, column: Column) -> Difference:
        """Second run minus first, over the cases and seeds both have."""
        a, b = self.cells[first, column], self.cells[second, column]
        return paired(a.numbers(), b.numbers(), column.better)

    def cases_of(self, category: str | None) -> list[str]:
        return [case for case in self.cases if self.categories[case] == category]

    def _count(self, column: Column) -> int:
        return sum(len(self.cells[place, column].values) for place in range(len(self.runs)))


def _has_values(
    column: Column, cells: Mapping[tuple[int, Column], list[tuple[Row, Measurement]]], runs: Sequence[Run]
) -> bool:
    return any(found.value is not None for place in range(len(runs)) for _, found in cells[place, column])


def _rank(main: Sequence[str], name: str) -> tuple[bool, int]:
    """Main metrics before others, in their order; others stay in the order in which they were measured."""
    return (False, main.index(name)) if name in main else (True, 0)


def _aligned(
    found: list[list[tuple[Row, Measurement]]], labels: Sequence[str]
) -> tuple[list[Column], dict[tuple[int, Column], list[tuple[Row, Measurement]]]]:
    """Columns in order of appearance, and what each run has in each of them."""
    divided = _divided_by_size(found)
    known: dict[Column, None] = {}
    cells: dict[tuple[int, Column], list[tuple[Row, Measurement]]] = defaultdict(list)
    without: list[tuple[int, Row, Measurement]] = []
    seen: set[tuple[int, str, int | None, Column]] = set()
    order = list(dict.fromkeys(each.name for run in found for _, each in run))
    for place, run in enumerate(found):
        for row, each in run:
            if each.value is None:
                without.append((place, row, each))
                continue
            column = _column(each, _identity(each) in divided)
            key = (place, row.case, row.seed, column)
            if key in seen:
                raise InputError(f"{labels[place]}: {each.name} of {row.case!r} is there twice ({column.qualifiers})")
            seen.add(key)
            known.setdefault(column)
            cells[place, column].append((row, each))
    for place, row, each in without:
        # What has no value need not say which network or size it would have been of.
        fitting = [
            column
            for column in known
            if column.name == each.name
            and column.fallback == each.fallback
            and (not each.variant or column.variant == each.variant)
            and (each.weights is None or column.weights == each.weights)
        ]
        if fitting:
            column = max(fitting, key=lambda one: len(cells[place, one]))
        else:
            column = _column(each, False)
            known.setdefault(column)
        cells[place, column].append((row, each))
    return sorted(known, key=lambda column: order.index(column.name)), cells


def _identity(found: Measurement) -> Column:
    return _column(found, False)


def _column(found: Measurement, with_size: bool) -> Column:
    size = found.resolution if with_size else None
    ordered = (min(size), max(size)) if size else None
    return Column(found.name, found.variant, found.unit, found.better, found.fallback, found.weights, ordered)


def _divided_by_size(found: list[list[tuple[Row, Measurement]]]) -> set[Column]:
    """Columns (without size) of which one case was measured at two sizes, or whose runs share neither case nor size."""
    by_case: dict[Column, dict[str, set[Size]]] = defaultdict(lambda: defaultdict(set))
    by_run: dict[Column, dict[int, set[Size]]] = defaultdict(lambda: defaultdict(set))
    for place, run in enumerate(found):
        for row, each in run:
            if each.value is not None and each.resolution is not None:
                size = (min(each.resolution), max(each.resolution))
                by_case[_identity(each)][row.case].add(size)
                by_run[_identity(each)][place].add(size)
    return {
        column
        for column in by_case
        if any(len(sizes) > 1 for sizes in by_case[column].values())
        or (
            len({frozenset(sizes) for sizes in by_run[column].values()}) > 1
            and not set.intersection(*by_run[column].values())
        )
    }


def _missing(rows: Mapping[Pair, Row], cell: Sequence[tuple[Row, Measurement]]) -> dict[Pair, str]:
    found = {(row.case, row.seed): each for row, each in cell}
    missing: dict[Pair, str] = {}
    for pair, row in rows.items():
        each = found.get(pair)
        if each is None:
            missing[pair] = f"failed: {row.error}" if row.status == "failed" else "not measured for this case"
        elif each.value is None:
            missing[pair] = each.reason or "no reason is given"
    return missing


def _labels(runs: Sequence[Run]) -> list[str]:
    labels: list[str] = []
    for run in runs:
        label, number = run.name or "run", 2
        if label in labels and run.folder is not None and run.folder.name:
            label = f"{label} ({run.folder.name})"
        plain = label
        while label in labels:
            label, number = f"{plain} {number}", number + 1
        labels.append(label)
    return labels


def _weight(found: Measurement, weighting: str) -> float:
    if weighting not in ("values", "frames"):
        raise InputError(f"weighting: found {weighting!r}, expected video, values or frames")
    weight = found.n if weighting == "values" else found.frames
    if weight is None:
        raise InputError(f"{found.name}: does not say how many {weighting} it is of; weigh by video")
    return float(weight)
