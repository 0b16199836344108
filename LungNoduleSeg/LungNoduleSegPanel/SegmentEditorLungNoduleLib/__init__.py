"""The Segment Editor effect "Lung nodule"."""
