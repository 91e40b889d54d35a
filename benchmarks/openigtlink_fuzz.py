"""Coverage-guided fuzzing of the OpenIGTLink decoders with atheris.

    .venv/bin/pip install atheris      # not a dependency of the project
    IR_NAV_TEST_DATA=../shared/data \\
        .venv/bin/python benchmarks/openigtlink_fuzz.py --messages 1000000

The golden messages are the corpus. Each input is decoded as it is and once more with length and
checksum put right, so that the mutations reach the codecs. Anything but MessageError is a crash;
a message that takes more than 5 s, or the process beyond 1 GiB, ends the run (libFuzzer's
-timeout and -rss_limit_mb). New inputs go to build/fuzz-corpus, crashes to build/.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import struct
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["devices.openigtlink"]):
    from devices.openigtlink import MessageError, decode_bytes
    from devices.openigtlink.header import HEADER_SIZE, checksum

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("IR_NAV_TEST_DATA", ROOT.parent / "shared" / "data"))
PIECES = ("header", "body")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    found = ROOT / "build" / "fuzz-corpus"
    golden = ROOT / "build" / "fuzz-golden"
    for folder in (found, golden):
        folder.mkdir(parents=True, exist_ok=True)
    for name, data in golden_messages().items():
        (golden / name).write_bytes(data)
    arguments = (
        *(f"-runs={options.messages}", f"-seed={options.seed}", "-max_len=16384"),
        *("-timeout=5", "-rss_limit_mb=1024", "-malloc_limit_mb=256", "-print_final_stats=1"),
        f"-artifact_prefix={ROOT / 'build'}/fuzz-",
    )
    atheris.Setup([sys.argv[0], *arguments, str(found), str(golden)], decode_twice)
    atheris.Fuzz()
    return 0


def decode_twice(data: bytes) -> None:
    with contextlib.suppress(MessageError):
        decode_bytes(data, 0.0)
    if len(data) >= HEADER_SIZE:
        body = data[HEADER_SIZE:]
        right = struct.pack(">QQ", len(body), checksum(body))
        with contextlib.suppress(MessageError):
            decode_bytes(data[: HEADER_SIZE - 16] + right + body, 0.0)


def golden_messages() -> dict[str, bytes]:
    """The reference messages; some are stored in pieces."""
    files = {path.stem: path.read_bytes() for path in (DATA / "igtl_vectors").glob("*.bin")}
    whole = {name: data for name, data in files.items() if not name.endswith(PIECES)}
    for name, data in files.items():
        if name.endswith("_message_header"):
            start = name.removesuffix("_header")
            # A bundle's own header sorts after its body, and belongs before it.
            parts = sorted((key for key in files if key.startswith(start)), reverse=True)
            parts.remove(name)
            whole[start] = data + b"".join(files[part] for part in parts)
    return whole


if __name__ == "__main__":
    raise SystemExit(main())
