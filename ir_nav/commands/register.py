"""`ir-nav register`: the CT to landmarks, a surface, fluoro frames, an ultrasound sweep."""

from __future__ import annotations

import argparse

Commands = argparse._SubParsersAction


def add_register(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("register", help="register the CT to the patient")
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    del kinds  # each kind adds itself here
