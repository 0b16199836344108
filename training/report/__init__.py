"""The report: figures of the studies with intervals, beside the thesis' figures, and what its claims come to."""
