"""The panel with the real subprocess: a whole run, clicks, cancel at random moments, a process that dies."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import slicer
from slicer_harness.snapshot import scene_snapshot

from LungNoduleSegLib.mrml import read_nodules, volume_from_ct
from Testing.cli.tiny import NODULES, phantom, write_store

LIMIT_S = 120
SCAN = Path("LIDC-IDRI", "LIDC-IDRI-0063")


@pytest.fixture
def tiny_weights(tmp_path, monkeypatch):
    write_store(tmp_path / "weights")
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(tmp_path / "weights"))


@pytest.fixture
def panel(tiny_weights, opened, scene):
    """The panel with the tiny network of the tests, on a drawn thorax."""
    widget = opened.widget
    widget.ui.inputSelector.setCurrentNode(volume_from_ct(phantom(), scene, "Phantom"))
    widget.parameters.model = "tiny"
    until(lambda: widget.ui.checkLabel.text)
    yield widget
    widget.logic.close()


def until(condition, limit_s=LIMIT_S):
    end = time.monotonic() + limit_s
    while not condition():
        slicer.app.processEvents()
        time.sleep(0.002)
        assert time.monotonic() < end, "It does not end."


def children() -> set[int]:
    """Living processes that were started from here, and theirs."""
    found = {os.getpid()}
    for _generation in range(4):
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                number, _, rest = status.read_text().partition(" (")
                state, parent = rest.rpartition(") ")[2].split()[:2]
            except (OSError, ValueError):
                continue
            if int(parent) in found and state != "Z":
                found.add(int(number))
    return found - {os.getpid()}


needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="living processes are read from /proc")


def test_a_whole_run_a_save_and_a_click(panel, scene, tmp_path):
    panel.ui.applyButton.click()
    until(lambda: not panel.running)
    assert panel.ui.statusLabel.text == "2 nodules found."
    rows = panel.review.rows
    labels = read_nodules(panel.parameters.segmentation, panel.parameters.inputVolume).labels
    assert all(labels[k, j, i] > 0 for k, j, i, _ in NODULES)
    panel.review.accept([rows[0].segment_id])
    before = [(row.segment_id, row.status, row.nodule.volume_mm3) for row in panel.review.rows]
    scene.SetRootDirectory(str(tmp_path))
    assert scene.WriteToMRB(str(tmp_path / "scene.mrb"))
    scene.Clear(False)
    assert panel.review is None and scene.ReadFromMRB(str(tmp_path / "scene.mrb"))
    panel.enter()
    assert panel.parameters.model == "tiny"
    after = [(row.segment_id, row.status, row.nodule.volume_mm3) for row in panel.review.rows]
    assert after == [(uid, status, pytest.approx(volume)) for uid, status, volume in before]
    panel.review.delete([rows[1].segment_id])
    place = rows[1].nodule.centroid_ras
    segment_id = panel.logic.click(
        panel.parameters.inputVolume, [place], segmentationNode=panel.parameters.segmentation, model="tiny"
    )
    row = panel.review.row(segment_id)
    assert row.kind == "SEMIAUTOMATIC" and np.linalg.norm(np.subtract(row.nodule.centroid_ras, place)) < 2.0


def cancel_at_random(panel, scene, times):
    rng, cancelled = random.Random(3), 0
    begun = time.monotonic()
    panel.ui.applyButton.click()
    until(lambda: not panel.running)
    whole = time.monotonic() - begun
    panel.review.undo()
    scene.RemoveNode(panel.parameters.segmentation)
    before = scene_snapshot(scene)
    for _ in range(times):
        panel.ui.applyButton.click()
        moment = time.monotonic() + rng.uniform(0.0, whole)
        until(lambda moment=moment: time.monotonic() > moment or not panel.running)
        if not panel.running:  # faster than the first time; points and table of a finished run stay without it
            panel.review.undo()
            scene.RemoveNode(panel.parameters.segmentation)
            before = scene_snapshot(scene)
            continue
        panel.ui.applyButton.click()
        until(lambda: not panel.running)
        assert panel.ui.statusLabel.text == "Cancelled; nothing was added to the scene."
        cancelled += 1
    assert cancelled
    until(lambda: not children(), 20)
    return before, scene_snapshot(scene)


@needs_proc
def test_cancel_leaves_neither_nodes_nor_processes(panel, scene):
    before, after = cancel_at_random(panel, scene, 3)
    assert after["ids"] == before["ids"] and after["content"] == before["content"]


@needs_proc
@pytest.mark.slow
def test_cancel_at_ten_random_moments(panel, scene):
    before, after = cancel_at_random(panel, scene, 10)
    assert after["ids"] == before["ids"] and after["content"] == before["content"]


@needs_proc
def test_a_process_that_is_killed_becomes_a_plain_message(panel, scene, monkeypatch):
    shown = []
    monkeypatch.setattr(slicer.util, "errorDisplay", lambda text, *_more, **_options: shown.append(text))
    before = scene_snapshot(scene)
    panel.ui.applyButton.click()
    until(lambda: panel.ui.progressBar.value >= 5 or not panel.running)
    for process in children():
        os.kill(process, signal.SIGKILL)
    until(lambda: not panel.running)
    assert len(shown) == 1 and "memory" in shown[0] and "exit status" not in shown[0]
    assert scene_snapshot(scene) == before and panel.ui.applyButton.text == "Apply"


@pytest.mark.slow
def test_the_shipped_model_on_a_real_ct(opened, scene, needs_data):
    from LungNoduleSegLib import read_ct

    panel = opened.widget
    panel.ui.inputSelector.setCurrentNode(volume_from_ct(read_ct(needs_data / SCAN), scene, "LIDC-IDRI-0063"))
    panel.ui.applyButton.click()
    until(lambda: not panel.running, 900)
    right = [row.nodule.mean_diameter_mm for row in panel.review.rows if row.nodule.side == "right"]
    # The spiculated and the round nodule, as large as their readers' consensus to a millimetre.
    assert all(any(abs(found - mm) < 1 for found in right) for mm in (12.6, 7.3)), right
    panel.logic.close()


@pytest.fixture
def needs_data() -> Path:
    folder = os.environ.get("LUNGNODULESEG_DATA")
    if not folder or not (Path(folder) / SCAN).is_dir():
        pytest.skip(f"LUNGNODULESEG_DATA is not set to a folder that holds {SCAN}")
    return Path(folder)
