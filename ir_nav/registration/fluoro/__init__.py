"""CT to fluoro: the projector, the C-arm's geometry, the search."""
