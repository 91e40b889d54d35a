"""The switch that lets other programs follow along, with its port and who listens."""

from __future__ import annotations

from PyQt6.QtGui import QIntValidator
from PyQt6.QtWidgets import QLineEdit

from ir_nav.gui.desk import Desk
from ir_nav.gui.forms import Card, button, label, set_mood
from ir_nav.session.errors import SessionError

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
        self._note = label("", name="publish_note")
        self.add_row(self._switch, self._port)
        self.add(self._note)
        self.show_status()

    def toggle(self) -> None:
        """Switch it on at the port that is typed in, or off."""
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
        self._port.setEnabled(not status.on)
        if status.on and self._port.text() != str(status.port):
            self._port.setText(str(status.port))
        if status.reason is not None:
            words = status.reason[:1].upper() + status.reason[1:]
        elif status.on:
            count = f"{status.clients} client{'s' if status.clients != 1 else ''}"
            words = f"On port {status.port} of this computer, {count}"
        else:
            words = "Off: 3D Slicer could follow tip and plan"
        self._note.setText(words)
        set_mood(self._note, "bad" if status.reason else "good" if status.clients else "")

    def _start(self) -> None:
        text = self._port.text()
        if not text.isdecimal() or not 1 <= int(text) <= 65535:
            raise SessionError("a port is a number from 1 to 65535")
        self._publisher.start(int(text))
