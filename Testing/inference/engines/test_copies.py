"""Copies: plain ones by their result, those of CUDA by what they ask of torch, in which order."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from LungNoduleSegLib.inference.engines import copies as module
from LungNoduleSegLib.inference.engines.copies import CudaCopies, PlainCopies, copies_for

CPU = torch.device("cpu")
TILES = np.random.default_rng(0).normal(size=(3, 1, 16, 16)).astype(np.float32)


def test_plain_copies():
    copies = copies_for(CPU)
    assert type(copies) is PlainCopies and copies.parts == 1
    x = copies.send(TILES[:, :, ::-1])
    np.testing.assert_array_equal(copies.fetch(x * 2)(), TILES[:, :, ::-1] * 2)


class Stream:
    """Stands for a stream; `log` is what is asked of all of them."""

    def __init__(self, name, log):
        self.name, self.log = name, log

    def wait_stream(self, other):
        self.log.append(f"{self.name} waits for {other.name}")

    def record_event(self):
        self.log.append(f"event on {self.name}")
        return self

    def synchronize(self):
        self.log.append("synchronised")


@pytest.fixture
def log(monkeypatch):
    """torch.cuda without a GPU, and what was asked of it and of copying tensors; tensors stay on the CPU."""
    log: list[str] = []
    now = [Stream("computing", log)]

    @contextmanager
    def stream(chosen):
        now.append(chosen)
        yield
        now.pop()

    def logged(name):
        real = getattr(torch.Tensor, name)

        def call(self, *args, **options):
            kind = "pinned" if self.data_ptr() in pinned else "ordinary"
            if options.get("non_blocking"):
                log.append(f"{name} {kind} on {now[-1].name}")
            return real(self, *args, **options).clone() if name == "to" else real(self, *args, **options)

        return call

    pinned: set[int] = set()

    def empty(shape):
        tensor = torch.full(shape, torch.nan)
        pinned.add(tensor.data_ptr())
        return tensor

    monkeypatch.setattr(module, "pinned", empty)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream("side", log))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: now[-1])
    monkeypatch.setattr(torch.cuda, "stream", stream)
    for name in ("to", "copy_"):
        monkeypatch.setattr(torch.Tensor, name, logged(name))
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, s: log.append(f"kept for {s.name}"))
    return log


def test_cuda_copies_in_their_order(log):
    copies = CudaCopies(CPU)
    assert copies.parts > 1
    x = copies.send(TILES)
    assert log == ["to pinned on side", "computing waits for side", "kept for computing"]
    log.clear()
    read = copies.fetch(x * 2)
    assert log == ["copy_ pinned on computing", "event on computing"]
    np.testing.assert_array_equal(read(), TILES * 2)
    assert log[-1] == "synchronised"


def test_cuda_results_are_copied_before_the_next_one_overwrites_them(log):
    copies = CudaCopies(CPU)
    static = torch.ones(2, 16, 16)
    first = copies.fetch(static)
    second = copies.fetch(static.fill_(2))
    assert (first() == 1).all() and (second() == 2).all()
    assert log.count("event on computing") == 2
