import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
MADE = runpy.run_path(str(DOCS / "make_tables.py"))


@pytest.mark.parametrize("page", MADE["TABLES"])
def test_tables_are_those_of_the_package(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    assert MADE["page_with_tables"](text, MADE["TABLES"][page]) == text, "run python docs/make_tables.py"


def test_every_metric_and_network_has_its_row():
    from motionloom.evaluate.published_weights import WEIGHTS
    from motionloom.evaluate.suite import METRICS

    page = (DOCS / "evaluation.md").read_text(encoding="utf-8")
    for name in (*METRICS, *WEIGHTS):
        assert page.count(f"\n| `{name}` | ") == 1, name
