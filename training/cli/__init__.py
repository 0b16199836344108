"""``python -m training``."""

from training.cli.app import main

__all__ = ["main"]
