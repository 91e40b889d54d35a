"""Programs of others, unchanged, get from the mock tracker what it sees.

What they accept is right for our driver too: it is tested against the same mock.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices.ndi import PortStatus, SystemStatus
from hw_mocks.ndi import MockTracker, PtyLine, Sighting, TcpServer
from tests.devices.ndi_bench import write_rom
from tests.devices.support import POSE

IN_USE = 0x31
PARTS = ("Needle", "Hidden", "Outside")

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ndicapy") is None
    or importlib.util.find_spec("sksurgerynditracker") is None,
    reason="pip install scikit-surgerynditracker (part of the dev extra)",
)


def see(_: float) -> dict[str, Sighting]:
    return {
        "Needle": Sighting(POSE, error_mm=0.125),
        "Outside": Sighting(POSE, PortStatus.OUT_OF_VOLUME),
    }


def ask_judge(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    # scikit-surgery pings a network tracker first; the build machine may have no ping.
    ping = folder / "ping"
    ping.write_text("#!/bin/sh\nexit 0\n")
    ping.chmod(0o755)
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("ndi_judge.py")), json.dumps(request)],
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout, done.stderr.decode()
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def check_ndicapi(seen: dict[str, Any]) -> None:
    assert "0x10" in seen["too early"]
    assert "0x1:" in seen["unknown"].lower() or "0x01" in seen["unknown"]
    assert seen["init"] == seen["start"] == seen["stop"] == "OKAY"
    assert seen["system"] == SystemStatus.TEMPERATURE
    for kind, tolerance in (("TX", 6e-3), ("BX", 1e-4)):
        needle, hidden, outside = seen[kind]
        assert needle["frame"] > 0
        assert (needle["status"], hidden["status"]) == (IN_USE, IN_USE)
        assert outside["status"] == IN_USE | PortStatus.OUT_OF_VOLUME
        half = np.sqrt(0.5)
        expected = [half, 0.0, 0.0, half, *POSE[:3, 3], 0.125]
        np.testing.assert_allclose(needle["pose"], expected, atol=tolerance)
        assert hidden["pose"] == "MISSING"
        np.testing.assert_allclose(outside["pose"][:7], expected[:7], atol=tolerance)
    assert [tool["pose"] for tool in seen["TX without 0800"][1:]] == ["MISSING", "MISSING"]


def test_ndicapi_on_a_serial_port(tmp_path: Path) -> None:
    roms = [str(write_rom(tmp_path, part)) for part in PARTS]
    tracker = MockTracker(see)
    tracker.faults.system = SystemStatus.TEMPERATURE
    with PtyLine(tracker, flush_is_break=True) as line:
        seen = ask_judge({"judge": "ndicapi", "path": line.path, "roms": roms}, tmp_path)
    assert seen["probe"] == 0
    assert seen["reset"] == "RESET"
    assert seen["comm"] == "OKAY"
    assert tracker.baud == 115200
    check_ndicapi(seen)


def test_ndicapi_on_tcp(tmp_path: Path) -> None:
    roms = [str(write_rom(tmp_path, part)) for part in PARTS]
    tracker = MockTracker(see)
    tracker.faults.system = SystemStatus.TEMPERATURE
    with TcpServer(tracker) as server:
        request = {"judge": "ndicapi", "host": "127.0.0.1", "port": server.port, "roms": roms}
        check_ndicapi(ask_judge(request, tmp_path))


def check_scikit_surgery(seen: dict[str, Any], tolerance: float) -> None:
    for frame in seen["frames"]:
        np.testing.assert_allclose(frame["poses"][0], POSE, atol=tolerance)
        assert frame["errors"][0] == pytest.approx(0.125)
        assert frame["numbers"][0] > 0


@pytest.mark.parametrize(
    ("firmware", "tolerance"),
    [("Polaris Spectra Rev 010", 1e-4), ("Polaris Spectra Rev 007", 6e-3)],  # by BX, by TX
)
def test_scikit_surgery_on_a_serial_port(tmp_path: Path, firmware: str, tolerance: float) -> None:
    roms = [str(write_rom(tmp_path, part)) for part in PARTS]
    with PtyLine(MockTracker(see, firmware=firmware)) as line:
        configuration = {"tracker type": "polaris", "serial port": line.path, "romfiles": roms}
        seen = ask_judge({"judge": "scikit-surgery", "configuration": configuration}, tmp_path)
    check_scikit_surgery(seen, tolerance)
    assert seen["tools"] == roms
    hidden, outside = np.array(seen["frames"][0]["poses"][1:])
    assert np.isnan(hidden[:3]).all()
    np.testing.assert_allclose(outside, POSE, atol=tolerance)


def test_scikit_surgery_on_tcp(tmp_path: Path) -> None:
    with TcpServer(MockTracker(see)) as server:
        configuration = {
            "tracker type": "vega",
            "ip address": "127.0.0.1",
            "port": server.port,
            "romfiles": [str(write_rom(tmp_path, "Needle"))],
        }
        seen = ask_judge({"judge": "scikit-surgery", "configuration": configuration}, tmp_path)
    check_scikit_surgery(seen, 1e-4)


def test_scikit_surgery_with_a_wired_tool(tmp_path: Path) -> None:
    tracker = MockTracker(see, firmware="AURORA Rev 010", frame_rate_hz=40.0)
    tracker.ports.plug(1, "Needle")
    with PtyLine(tracker) as line:
        configuration = {"tracker type": "aurora", "serial port": line.path}
        seen = ask_judge({"judge": "scikit-surgery", "configuration": configuration}, tmp_path)
    check_scikit_surgery(seen, 1e-4)
