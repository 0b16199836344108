"""Images for training: crops and complete scans, split by patient, sampled and augmented."""
