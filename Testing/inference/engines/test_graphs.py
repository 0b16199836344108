"""Recorded calls: filled up, kept by size, compared once, and given up for good at the first fault."""

from __future__ import annotations

import logging
from contextlib import contextmanager

import pytest
import torch

from LungNoduleSegLib.inference.engines import graphs as module
from LungNoduleSegLib.inference.engines.graphs import SIZES, WARM_UP, Graphs, Recorded, record

PROBE = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))


class Network:
    """Gives each tile's own sigmoid; counts the tiles of its calls."""

    def __init__(self):
        self.sizes: list[int] = []

    def __call__(self, x):
        self.sizes.append(len(x))
        return x[:, 0].sigmoid()


class Recorder:
    """Records as CUDA does: what was computed on the buffers is computed again, on the same buffers.

    Faults: "record", "replay" (from the second on) and "memory" raise, "stale" replays nothing, "nan" gives no numbers.
    """

    def __init__(self, fault=""):
        self.fault, self.recorded, self.replays = fault, [], 0

    def __call__(self, compute, tiles):
        if self.fault in ("record", "memory"):
            raise torch.OutOfMemoryError("CUDA out of memory") if self.fault == "memory" else RuntimeError("no capture")
        self.recorded.append(len(tiles))
        static = tiles[:, 0].sigmoid()

        def replay():
            self.replays += 1
            if self.fault == "replay" and self.replays > 1:
                raise RuntimeError("no launch")
            if self.fault != "stale":
                static.copy_(tiles[:, 0].sigmoid())
            if self.fault == "nan":
                static.fill_(torch.nan)

        return Recorded(tiles, static, replay)


def made(fault="", **options):
    network, recorder = Network(), Recorder(fault)
    return Graphs(network, PROBE, 1e-6, recorder, **{"patience": 0, **options}), network, recorder


def tiles(count, seed=1, px=16):
    return torch.rand(count, 1, px, px, generator=torch.Generator().manual_seed(seed)) - 0.5


def same(found, x):
    return torch.equal(found, x[:, 0].sigmoid())


def test_a_batch_is_filled_up_to_the_next_size():
    graphs, network, recorder = made()
    for count, size in ((1, 1), (5, 6), (9, 12), (13, 16)):
        x = tiles(count)
        assert same(graphs(x), x)
        assert recorder.recorded[-1] == network.sizes[-1] == size  # the network only saw what it is compared on
    assert not graphs.given_up


def test_no_size_adds_more_than_a_third():
    for count in range(1, SIZES[-1] + 1):
        assert min(s for s in SIZES if s >= count) <= max(count + 1, count * 4 / 3)


def test_each_size_is_recorded_once():
    graphs, network, recorder = made()
    for seed, count in enumerate((3, 7, 3, 8, 3)):
        x = tiles(count, seed)
        assert same(graphs(x), x)
    assert recorder.recorded == network.sizes == [3, 8]
    graphs.clear()
    graphs(tiles(3))
    assert recorder.recorded == [3, 8, 3]


def test_a_size_is_recorded_when_it_has_come_often_enough():
    graphs, network, recorder = made(patience=2)
    for count in (3, 3, 4):
        graphs(tiles(count))
    assert network.sizes == [3, 3, 4] and not recorder.recorded
    x = tiles(3)
    assert same(graphs(x), x) and recorder.recorded == [3]


def test_filling_up_is_blank_whatever_came_before():
    kept = []

    def recorder(compute, tiles):
        kept.append(tiles)
        return Recorder()(compute, tiles)

    graphs = Graphs(Network(), PROBE, 1e-6, recorder, patience=0)
    graphs(tiles(6))
    graphs(tiles(5))
    assert len(kept) == 1 and (kept[0][5] == 0).all() and kept[0][:5].any()


@pytest.mark.parametrize(("count", "px"), [(SIZES[-1] + 1, 16), (2, 32)], ids=["many tiles", "another size"])
def test_others_are_computed_plainly(count, px):
    graphs, network, recorder = made()
    x = tiles(count, px=px)
    assert same(graphs(x), x)
    assert network.sizes == [count] and not recorder.recorded


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("record", "no capture"),
        ("memory", "out of memory"),
        ("replay", "no launch"),
        ("stale", "moves probabilities"),
        ("nan", "moves probabilities by nan"),
    ],
)
def test_a_fault_gives_up_for_good_and_costs_no_result(fault, reason, caplog):
    graphs, network, recorder = made(fault)
    with caplog.at_level(logging.WARNING):
        for count in (3, 5, 3):
            x = tiles(count, count)
            assert same(graphs(x), x)
    assert reason in graphs.given_up and reason in caplog.text
    assert len(caplog.records) == 1 and len(recorder.recorded) <= 1
    assert network.sizes[-2:] == [5, 3] and not graphs._recorded


def test_the_tolerance_is_the_limit():
    def shifted(by):
        def recorder(compute, tiles):
            recorded = Recorder()(compute, tiles)
            return Recorded(tiles, recorded.found, lambda: (recorded.replay(), recorded.found.add_(by)))

        graphs = Graphs(Network(), PROBE, 0.03, recorder, patience=0)
        graphs(tiles(2))
        return graphs.given_up

    assert not shifted(0.02) and "0.04" in shifted(0.04)


def test_what_is_asked_of_cuda(monkeypatch):
    """`record` with torch.cuda replaced: warm-up on the side stream, recording there, the current stream put back."""
    log, now = [], ["current"]

    class Stream(str):
        def wait_stream(self, other):
            log.append(f"{self} waits for {other}")

    class Graph:
        def replay(self):
            log.append("replay")

    @contextmanager
    def stream(chosen):
        before = list(now)
        now.append(chosen)
        try:
            yield
        finally:
            now[:] = before

    @contextmanager
    def graph(graph, *, stream, capture_error_mode):
        assert isinstance(graph, Graph) and capture_error_mode == "thread_local"
        now.append(stream)
        log.append("recording")
        yield  # torch leaves the stream current where the body fails
        now.pop()

    @contextmanager
    def device(chosen):
        yield

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream("side"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream(now[-1]))
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)

    def compute(x):
        log.append(f"compute on {now[-1]}")
        return x + 1

    x = torch.zeros(2, 1, 16, 16)
    recorded = record(compute, x)
    warm = ["compute on side"] * WARM_UP
    assert log == ["side waits for current", *warm, "current waits for side", "recording", "compute on side"]
    assert recorded.tiles is x and (recorded.found == 1).all() and now == ["current"]
    recorded.replay()
    assert log[-1] == "replay"

    def fails(x):
        if log[-1] == "recording":
            raise RuntimeError("not permitted when stream is capturing")

    with pytest.raises(RuntimeError, match="capturing"):
        record(fails, x)
    assert now == ["current"]


def test_a_real_recording():
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU with CUDA")
    probe = PROBE.cuda()
    graphs = Graphs(lambda x: x[:, 0].sigmoid(), probe, 1e-6, patience=0)
    for count in (1, 5, 5, 16):
        x = tiles(count, count).cuda()
        assert torch.equal(graphs(x), x[:, 0].sigmoid())
    assert not graphs.given_up and sorted(graphs._recorded) == [1, 6, 16]
    assert module.record is record
