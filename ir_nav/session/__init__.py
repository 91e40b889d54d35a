"""The only mutable object of the application, and what surrounds it."""
