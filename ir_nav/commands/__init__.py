"""Jobs of the command line, file in, file out."""
