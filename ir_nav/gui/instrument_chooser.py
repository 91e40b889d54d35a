"""Which device the approved plan is for: those that fit the protocol first, others when asked."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QStandardItemModel
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from ir_nav.gui import theme
from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import button, label
from ir_nav.planning import Plan, Protocol
from ir_nav.planning.catalogue import Device, all_devices, instrument_of
from ir_nav.planning.instrument_words import depth_words
from ir_nav.session.errors import SessionError

CHOOSE = "Instrument: …"
OTHERS = "Other devices"


class InstrumentChooser(QWidget):
    """The list of devices, what the paths were searched for, and how deep the chosen one goes."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._devices: dict[str, Device] = {}
        self._protocol: Protocol | None = None
        self._asked: tuple[Device, Plan] | None = None
        self._list = QComboBox()
        self._list.setObjectName("instrument")
        self._list.setAccessibleName("Instrument of the approved plan")
        # Long names must not make the column wider than it is.
        self._list.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._list.activated.connect(self._choose)
        self._searched = label("", "quiet", name="searched_for")
        self._depth = label("", "note", name="instrument_depth")
        self._question = label("", "note", name="device_question")
        self._answers = _row(
            button("use_other_device", "Use it", self._confirm, kind="small"),
            button("keep_device", "Leave it", self._decline, kind="small"),
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.GAP)
        for widget in (self._searched, self._list, self._question, self._answers, self._depth):
            column.addWidget(widget)
        self._ask(None)
        desk.attempt(self._read)
        self.show_plan(desk.session.planning.plan)

    def show_plan(self, plan: Plan | None) -> None:
        """Show which device the plan is for: none for a plan that has just been approved."""
        self._follow_protocol()
        if self._asked is not None and self._asked[1] is not plan:
            self._ask(None)
        device = "" if plan is None else plan.instrument.device
        index = max(self._list.findData(device), 0) if device else 0
        if self._list.currentIndex() != index and self._asked is None:
            self._list.setCurrentIndex(index)
        words = depth_words(plan) if plan is not None and device else ""
        if self._depth.text() != words:
            self._depth.setText(words)
        self._depth.setVisible(bool(words))

    def _read(self) -> None:
        self._devices = {device.id: device for device in all_devices()}

    def _follow_protocol(self) -> None:
        protocol = self._desk.session.planning.protocol
        if protocol is self._protocol:
            return
        self._protocol = protocol
        self._searched.setText(f"Searched for: {protocol.needle.name}")
        fitting, others = sorted_devices(tuple(self._devices.values()), protocol)
        self._list.clear()
        self._list.addItem(CHOOSE)
        for device in fitting:
            self._list.addItem(device.name, device.id)
        if others:
            self._add_heading()
        for device in others:
            self._list.addItem(device.name, device.id)

    def _add_heading(self) -> None:
        self._list.insertSeparator(self._list.count())
        self._list.addItem(OTHERS)
        model = self._list.model()
        heading = (
            model.item(self._list.count() - 1) if isinstance(model, QStandardItemModel) else None
        )
        if heading is not None:
            heading.setFlags(Qt.ItemFlag.NoItemFlags)

    def _choose(self, index: int) -> None:
        self._ask(None)
        device = self._devices.get(self._list.itemData(index) or "")
        plan = self._desk.session.planning.plan
        if (
            device is not None
            and plan is not None
            and not fits(device, self._desk.session.planning.protocol)
        ):
            self._ask((device, plan))
            return
        if device is not None:
            self._attempt(device)
        self.show_plan(self._desk.session.planning.plan)

    def _confirm(self) -> None:
        asked = self._asked
        self._ask(None)
        if asked is not None:
            self._attempt(asked[0])
        self.show_plan(self._desk.session.planning.plan)

    def _decline(self) -> None:
        self._ask(None)
        self.show_plan(self._desk.session.planning.plan)

    def _ask(self, asked: tuple[Device, Plan] | None) -> None:
        self._asked = asked
        if asked is not None:
            name = self._desk.session.planning.protocol.name
            self._question.setText(f"{asked[0].name} is no device for {name}")
        self._question.setVisible(asked is not None)
        self._answers.setVisible(asked is not None)

    def _attempt(self, device: Device) -> None:
        self._desk.attempt(lambda: self._use(device), f"Planned for: {device.name}")

    def _use(self, device: Device) -> None:
        session = self._desk.session
        plan = session.planning.plan
        if plan is None:
            raise SessionError("approve a path first")
        to_aim_mm = float(np.linalg.norm(plan.aim_ct_mm - plan.path.entry_ct_mm))
        session.approving.use_instrument(instrument_of(device, to_aim_mm))


def fits(device: Device, protocol: Protocol) -> bool:
    """Whether a device is of a kind that the protocol names; any is where it names none."""
    return not protocol.devices or device.kind in protocol.devices


def sorted_devices(
    devices: tuple[Device, ...], protocol: Protocol
) -> tuple[tuple[Device, ...], tuple[Device, ...]]:
    """Those that fit, in the order of the protocol's kinds, and the others."""
    kinds = protocol.devices
    fitting = [device for device in devices if fits(device, protocol)]
    others = tuple(device for device in devices if not fits(device, protocol))
    if kinds:
        fitting.sort(key=lambda device: kinds.index(device.kind))
    return tuple(fitting), others


def _row(*buttons: QWidget) -> QWidget:
    made = QWidget()
    row = QHBoxLayout(made)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(theme.GAP)
    for widget in buttons:
        row.addWidget(widget, 1)
    return made
