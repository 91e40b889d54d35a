"""Which protocol the path is held against: those that come along, or a department's own."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtWidgets import QComboBox

from ir_nav.gui.desk import Desk
from ir_nav.gui.files import ask_file
from ir_nav.planning import Protocol, read_protocol, shipped_protocol, shipped_protocols

OPEN = "Open protocol …"
PROTOCOLS = "Protocols (*.toml);;All files (*)"


class ProtocolChooser(QComboBox):
    """Lists the protocols; the one in use is the one shown, also after an undo."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._known: list[Protocol] = []
        self.setObjectName("protocol")
        self.setAccessibleName("Protocol")
        self.setToolTip("Roles, margins and limits of the procedure")
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.activated.connect(self._choose)
        self._known = [shipped_protocol(name) for name in shipped_protocols()]
        self._fill()
        self.follow()

    def follow(self) -> None:
        """Show the protocol in use; the list gets those it did not know."""
        protocol = self._desk.session.planning.protocol
        if protocol not in self._known:
            self._known.append(protocol)
            self._fill()
        at = self._known.index(protocol)
        if self.currentIndex() != at:
            self.setCurrentIndex(at)

    def load(self, path: Path) -> None:
        """Plan by the protocol of a file."""
        self._desk.remember_folder("protocol", path)
        self._desk.attempt(lambda: self._use(read_protocol(path)), f"Opened {path.name}")
        self.follow()

    def _choose(self, index: int) -> None:
        if index < len(self._known):
            self._use(self._known[index])
        else:
            ask_file(self, "Open protocol", self._desk.folder("protocol"), PROTOCOLS, self.load)
            self.follow()

    def _use(self, protocol: Protocol) -> None:
        session = self._desk.session
        if protocol != session.planning.protocol:
            session.planning.use_protocol(protocol)

    def _fill(self) -> None:
        self.clear()
        self.addItems([protocol.name for protocol in self._known])
        self.addItem(OPEN)
