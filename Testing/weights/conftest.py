"""Folders of their own for shipped and the user's weights, and a server on the loopback address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from LungNoduleSegLib.weights import catalog, store, transfer
from Testing.weights.server import Behaviour, Server


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the shipped weights."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    monkeypatch.setattr(catalog, "shipped_folder", lambda: folder)
    monkeypatch.setattr(store, "shipped_folder", lambda: folder)
    return folder


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, which does not exist yet."""
    folder = tmp_path / "own weights å"
    monkeypatch.setenv("LUNGNODULESEG_WEIGHTS", str(folder))
    return folder


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """Starts servers; no proxies, and no pauses between tries."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(transfer, "PAUSES_S", (0.0,) * len(transfer.PAUSES_S))
    servers: list[Server] = []

    def start(content: bytes, **behaviour) -> Server:
        servers.append(Server(Behaviour(content, **behaviour)))
        return servers[-1]

    yield start
    for server in servers:
        if server.behaviour.stall is not None:
            server.behaviour.stall.set()
        server.close()
