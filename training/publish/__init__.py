"""From a finished run to weights with their card, candidate scorer and operating points."""
