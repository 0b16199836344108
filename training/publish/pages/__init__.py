"""A page a model for people: its text from the card and the whole scan's figures, its pictures from the same."""
