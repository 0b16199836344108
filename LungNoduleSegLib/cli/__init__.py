"""The command line ``lungnoduleseg``; torch is imported only by the commands that run a network, when they do."""

from __future__ import annotations


def main() -> None:
    """Entry point of ``lungnoduleseg``; ends the process with the command's exit code."""
    from LungNoduleSegLib.cli.app import run

    run()
