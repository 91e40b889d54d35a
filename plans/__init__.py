"""Protocols written by people and plans written by the console, with their schema."""
