"""The catalogue: shipped devices make sound instruments, wrong files are refused in words."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ir_nav.planning import PlanError
from ir_nav.planning.catalogue import (
    AblationDevice,
    all_devices,
    device_named,
    instrument_of,
    read_devices,
)
from ir_nav.planning.instruments import (
    KINDS,
    OUTER_MM,
    Ablation,
    Biopsy,
    Coaxial,
    Drainage,
    Needle,
)

SHIPPED = Path(__file__).resolve().parents[2] / "plans" / "devices"
# Nominal outer diameters of the gauges (Birmingham wire gauge), mm.
NOMINAL_MM = {
    10: 3.404, 12: 2.769, 14: 2.108, 15: 1.829, 16: 1.651, 17: 1.473, 18: 1.270, 19: 1.067,
    20: 0.908, 21: 0.819, 22: 0.718, 25: 0.514, 30: 0.311,
}  # fmt: skip
FILE = """
format = 1
[[device]]
id = "own-18g"
name = "Own"
kind = "biopsy"
gauge = 18
lengths_mm = [100.0, 160.0]
notch = { throw_mm = 20.0, notch_mm = 16.0, tip_mm = 3.0 }
source = "test"
"""


def test_gauges_lie_at_the_upper_end_of_their_nominal_size() -> None:
    for gauge, nominal_mm in NOMINAL_MM.items():
        assert nominal_mm <= OUTER_MM[gauge] <= 1.06 * nominal_mm
    assert list(OUTER_MM.values()) == sorted(OUTER_MM.values(), reverse=True)
    assert Needle(gauge=18).outer_diameter_mm == 1.3


def test_every_shipped_device_makes_an_instrument_that_reaches() -> None:
    devices = all_devices(Path("/nowhere"))
    assert {device.kind for device in devices} == set(KINDS)
    for device in devices:
        assert device.source
        instrument = instrument_of(device, 80.0)
        assert instrument.kind == device.kind
        assert instrument.device == device.id
        assert instrument.needle.length_mm >= 80.0


def test_the_catalogue_spans_what_is_asked_of_it() -> None:
    devices = all_devices(Path("/nowhere"))
    biopsies = [device for device in devices if device.kind == "biopsy"]
    assert {device.gauge for device in biopsies} == {14, 16, 18, 20}
    assert {device.notch.throw_mm for device in biopsies} == {11.0, 22.0}
    drains = [device for device in devices if device.kind == "drainage"]
    assert [device.french for device in drains] == [6, 8, 10, 12, 14]
    gauges = {device.gauge for device in devices if device.kind == "needle"}
    assert gauges == {18, 20, 22}


def test_the_shortest_length_that_reaches_is_taken() -> None:
    device = device_named(all_devices(Path("/nowhere")), "core-18g-22mm")
    assert instrument_of(device, 100.0).needle.length_mm == 100.0
    assert instrument_of(device, 100.1).needle.length_mm == 150.0
    assert instrument_of(device, 900.0).needle.length_mm == 200.0  # findings say it is too short


def test_a_side_notch_is_planned_centred_and_a_sampler_goes_through() -> None:
    devices = all_devices(Path("/nowhere"))
    biopsy = instrument_of(device_named(devices, "core-18g-22mm"), 90.0)
    assert isinstance(biopsy, Biopsy)
    assert biopsy.stand_off_mm == 22.0 - 3.0 - 19.0 / 2.0
    coaxial = instrument_of(device_named(devices, "coaxial-17g-18g-22mm"), 90.0)
    assert isinstance(coaxial, Coaxial)
    assert coaxial.stand_off_mm == biopsy.stand_off_mm + coaxial.ahead_mm
    drain = instrument_of(device_named(devices, "pigtail-10f"), 90.0)
    assert isinstance(drain, Drainage)
    assert drain.catheter.outer_diameter_mm == pytest.approx(10.0 / 3.0)


def test_an_ablation_setting_is_chosen_by_number() -> None:
    device = device_named(all_devices(Path("/nowhere")), "rf-cooled-17g-20mm")
    assert isinstance(device, AblationDevice)
    second = instrument_of(device, 90.0, setting=1, margin_mm=7.0)
    assert isinstance(second, Ablation)
    assert (second.zone, second.margin_mm) == (device.zones[1], 7.0)
    with pytest.raises(PlanError, match="has settings 0 to 1, not 2"):
        instrument_of(device, 90.0, setting=2)


def test_devices_of_the_users_folder_are_added(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(FILE)
    assert device_named(all_devices(tmp_path), "own-18g").name == "Own"
    with pytest.raises(PlanError, match=r"no device 'own-19g' in the catalogue: .*own-18g"):
        device_named(all_devices(tmp_path), "own-19g")


def test_an_id_that_stands_twice_is_refused(tmp_path: Path) -> None:
    shutil.copy(SHIPPED / "drainage.toml", tmp_path / "mine.toml")
    with pytest.raises(PlanError, match=r"mine\.toml: device 'pigtail-6f' is in .*drainage\.toml"):
        all_devices(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("gauge = 18", "gauge = 99", r"device\.0\.gauge: "),
        ("gauge = 18", "gauge = 18\ncolour = 1", r"device\.0\.colour: Extra"),
        ("lengths_mm = [100.0, 160.0]", "lengths_cm = [10.0]", r"device\.0\.lengths_cm: .*_mm"),
        ("[100.0, 160.0]", "[160.0, 100.0]", r"device\.0: lengths_mm must grow"),
        ("throw_mm = 20.0", "throw_mm = 2.0", r"device\.0\.notch: a throw of 2 mm cannot"),
        ('kind = "biopsy"', 'kind = "laser"', r"device\.0: .*'biopsy'"),
        ('source = "test"', 'source = ""', r"device\.0\.source: "),
        ('id = "own-18g"', 'id = "Own 18"', r"device\.0\.id: "),
        ("format = 1", "format = 2", r"format: "),
        ("format = 1", "format == 1", "not a device file"),
    ],
)
def test_each_fault_of_a_device_file_is_told(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(FILE)
    assert len(read_devices(path)) == 1
    assert old in FILE
    path.write_text(FILE.replace(old, new, 1))
    with pytest.raises(PlanError, match=words) as refusal:
        read_devices(path)
    assert str(refusal.value).startswith(f"{path}: ")


def test_a_zone_without_its_source_is_refused(tmp_path: Path) -> None:
    text = (SHIPPED / "ablation.toml").read_text()
    path = tmp_path / "a.toml"
    path.write_text(text.replace('source = "Mean of porcine kidney in vivo, PMC7798152"', ""))
    with pytest.raises(PlanError, match=r"device\.4: every zone needs its source"):
        read_devices(path)
