"""`ir-nav register`: the CT to landmarks, a surface, fluoro frames, an ultrasound sweep."""

from __future__ import annotations

import argparse

from ir_nav.commands.arguments import spare_inputs
from ir_nav.commands.register_fluoro import add_fluoro
from ir_nav.commands.register_landmarks import add_landmarks
from ir_nav.commands.register_surface import add_surface
from ir_nav.commands.register_ultrasound import add_ultrasound

Commands = argparse._SubParsersAction


def add_register(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("register", help="register the CT to the patient")
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    add_fluoro(kinds)
    add_landmarks(kinds)
    add_surface(kinds)
    add_ultrasound(kinds)
    for command in kinds.choices.values():
        spare_inputs(command)
