"""The switch that lets other programs follow along, with its address and who listens."""

from __future__ import annotations

from PyQt6.QtGui import QIntValidator
from PyQt6.QtWidgets import QLineEdit

from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import Card, button, label, set_mood
from ir_nav.session.publish_address import EVERYWHERE, LOOPBACK, READ_ALONG, read_address
from ir_nav.session.publishing import PublishStatus

PORT_PX = 92


class PublishCard(Card):
    """Off until it is switched on here or with --publish."""

    def __init__(self, desk: Desk) -> None:
        super().__init__("Publish over OpenIGTLink")
        self._desk = desk
        self._publisher = desk.session.publisher
        self._switch = button(
            "publish",
            "Publish",
            self.toggle,
            kind="small",
            checkable=True,
            tip="Sends the tip, the plan and the state of guidance to 3D Slicer and others",
        )
        self._port = QLineEdit(str(self._publisher.status().port))
        self._port.setObjectName("publish_port")
        self._port.setAccessibleName("Port to publish on")
        self._port.setToolTip("Port, 1 to 65535; 3D Slicer expects 18944")
        self._port.setValidator(QIntValidator(1, 65535, self))
        self._port.setFixedWidth(PORT_PX)
        self._host = QLineEdit(self._publisher.status().address.host)
        self._host.setObjectName("publish_host")
        self._host.setAccessibleName("Address to publish at")
        self._host.setToolTip(
            f"{LOOPBACK}: only programs on this computer. Another address of this computer, or "
            f"{EVERYWHERE} for all: {READ_ALONG}"
        )
        self._note = label("", name="publish_note")
        self.add_row(self._switch, self._port)
        self.add_row(label("At address", "quiet"), self._host)
        self.add(self._note)
        self.show_status()

    def toggle(self) -> None:
        """Switch it on at the address that is typed in, or off."""
        if self._publisher.status().on:
            self._publisher.stop()
        else:
            self._desk.attempt(self._start)
        self.show_status()

    def show_status(self) -> None:
        """Draw whether it is on, where, and for how many."""
        status = self._publisher.status()
        self._switch.setChecked(status.on)
        self._switch.setText("Stop publishing" if status.on else "Publish")
        self._switch.setAccessibleName(self._switch.text())
        for field, text in ((self._port, str(status.port)), (self._host, status.address.host)):
            field.setEnabled(not status.on)
            if status.on and field.text() != text:
                field.setText(text)
        if status.reason is not None:
            words = status.reason[:1].upper() + status.reason[1:]
        elif status.on:
            count = f"{status.clients} client{'s' if status.clients != 1 else ''}"
            words = status.address.words
            words = f"{words[:1].upper()}{words[1:]}, {count}"
        else:
            words = "Off: 3D Slicer could follow tip and plan"
        self._note.setText(words)
        set_mood(self._note, _mood(status))

    def _start(self) -> None:
        host = self._host.text().strip()
        address = read_address(f"{host}:{self._port.text()}" if host else self._port.text())
        self._publisher.start(address.port, address.host)


def _mood(status: PublishStatus) -> str:
    if status.reason:
        return "bad"
    if status.on and not status.address.only_here:
        return "warn"
    return "good" if status.clients else ""
