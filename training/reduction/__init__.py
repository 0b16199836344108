"""The false-positive reduction: stacks of nodules and of what is none, and the small network that tells them apart."""
