"""Fixtures of the inference tests."""

from __future__ import annotations

import pytest

from Testing.inference.phantom import OracleEngine


@pytest.fixture
def oracle() -> OracleEngine:
    """An engine that sees by HU alone."""
    return OracleEngine()
