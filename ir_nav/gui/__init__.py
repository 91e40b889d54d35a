"""The console's windows: PyQt6 for everything flat, VTK off-screen for the 3D view."""
