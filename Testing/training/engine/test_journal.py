"""The log: one line a look, without what a resumed run is about to say again; the same for TensorBoard."""

from __future__ import annotations

import json

import pytest

from training.engine.journal import Journal


def samples(journal: Journal) -> list[int]:
    return [json.loads(line)["samples"] for line in journal.path.read_text().splitlines()]


def test_a_resumed_run_says_nothing_twice(tmp_path):
    journal = Journal(tmp_path)
    for n in (10, 20, 30):
        journal.write(n, {"loss": 1.0})
    journal.write(20, {"mined": [3, 4]})
    with journal.path.open("a") as stream:
        stream.write('{"samples": 40, "lo')  # killed while writing
    journal.rewind(20)
    assert samples(journal) == [10, 20]
    assert "mined" not in journal.path.read_text()
    journal.rewind(20)
    assert samples(journal) == [10, 20]
    assert [p.name for p in tmp_path.iterdir()] == ["log.jsonl"]


def test_only_one_process_writes(tmp_path):
    journal = Journal(tmp_path / "run", active=False, tensorboard=True)
    journal.write(10, {"loss": 1.0})
    journal.rewind(0)
    journal.close()
    assert not (tmp_path / "run").exists()
    with journal.bar(10, 0) as bar:
        assert bar.disable


@pytest.mark.filterwarnings("ignore")
def test_figures_for_tensorboard(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="no tensorboard")
    journal = Journal(tmp_path, tensorboard=True)
    journal.write(10, {"loss": 0.5, "iou_pos": {"value": 0.25, "low": 0.0, "high": 1.0}, "stopped": "text"})
    journal.write(20, {"mined": [3, 4]})
    journal.close()
    found = events.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(found.Tags()["scalars"]) == {"loss", "iou_pos", "mined"}
    assert [(e.step, e.value) for e in found.Scalars("iou_pos")] == [(10, 0.25)]
    assert found.Scalars("mined")[0].value == 7
