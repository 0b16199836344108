"""Training of the networks on LIDC-IDRI: annotations, data, splits, losses, metrics, experiments."""
