"""Layout of the needle log: one SQLite file."""

from __future__ import annotations

# 2 has events of kind "quality", which readers of 1 do not know; the tables are the same.
FORMAT = 2
READ_FORMATS = ("1", "2")

TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS poses (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, source_s REAL NOT NULL, received_s REAL NOT NULL,
    status TEXT NOT NULL, matrix BLOB);           -- 12 float64: three rows of target_from_source
CREATE TABLE IF NOT EXISTS images (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, source_s REAL NOT NULL, received_s REAL NOT NULL,
    columns INTEGER NOT NULL, rows INTEGER NOT NULL, jpeg BLOB);
CREATE TABLE IF NOT EXISTS texts (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, source_s REAL NOT NULL, received_s REAL NOT NULL,
    text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, time_s REAL NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
    data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS shown (
    id INTEGER PRIMARY KEY, now_s REAL NOT NULL, pose_source_s REAL, reason TEXT,
    tip_x REAL, tip_y REAL, tip_z REAL, shaft_x REAL, shaft_y REAL, shaft_z REAL,
    to_target_mm REAL, off_path_mm REAL, angle_deg REAL, phase_mm REAL,
    error_95_mm REAL);
"""
