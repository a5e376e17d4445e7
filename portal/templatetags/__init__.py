"""Template tags of the composition root: presentation only."""
