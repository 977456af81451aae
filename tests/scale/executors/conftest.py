from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from motionloom.scale.executors import Task, WorkerSpec


@pytest.fixture
def writing(tmp_path, monkeypatch):
    """Tasks for `working.Writer`: ``run(executor, {"name": what})`` returns the outcomes by name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))

    def run(executor, whats, **arguments):
        outcomes = {}

        def done(outcome):
            assert outcome.task.name not in outcomes
            outcomes[outcome.task.name] = outcome

        tasks = [Task(name, {"name": name, "what": what}) for name, what in whats.items()]
        executor.run(tasks, WorkerSpec("working:Writer", {"folder": str(tmp_path), **arguments}), on_done=done)
        return outcomes

    def attempts(name):
        return len((tmp_path / f"attempts-{name}").read_text().splitlines())

    return SimpleNamespace(
        run=run, folder=tmp_path, attempts=attempts, workers=lambda: len(list(tmp_path.glob("built-*")))
    )
