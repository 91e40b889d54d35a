"""Drivers of the room's equipment. Nothing here knows the application."""
