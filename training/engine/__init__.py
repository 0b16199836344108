"""One training run: configuration, loss, trainer, checkpoints."""
