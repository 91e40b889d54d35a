"""The demonstration: the normal console pointed at a simulated room, worked by a script."""
