"""CT to points swiped on skin or bone."""
