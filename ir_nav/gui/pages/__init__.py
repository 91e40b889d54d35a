"""One page per step of the procedure."""
