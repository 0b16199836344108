"""What a network or a model is worth: on crops, and on whole CTs."""
