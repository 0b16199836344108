"""From a network for 128-px tiles to a whole CT and to one click."""
