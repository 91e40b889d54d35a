"""CT to ultrasound: the simulated frame, the similarity of a sweep, the search."""
