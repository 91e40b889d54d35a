"""Asking the simulated operator of a room: one button with a menu."""

from __future__ import annotations

from PyQt6.QtWidgets import QMenu, QPushButton

from ir_nav.gui.desk import Desk

REQUESTS: tuple[tuple[str, str, dict[str, float]], ...] = (
    ("Pivot the needle", "pivot needle", {}),
    ("Spin the needle", "spin needle", {}),
    ("Pivot the stylus", "pivot stylus", {}),
    ("Touch the fiducials", "touch fiducials", {}),
    ("Sweep the probe", "sweep", {}),
    ("Insert along the plan", "insert", {}),
    ("C-arm to 0°", "turn C-arm", {"orbit_deg": 0.0}),
    ("C-arm to −60°", "turn C-arm", {"orbit_deg": -60.0}),
    ("Withdraw", "withdraw", {}),
    ("Cover the needle for 2 s", "cover needle", {}),
    ("Stop and put the tools down", "rest", {}),
)


class OperatorMenu(QPushButton):
    """Shown only where the room has a simulated operator."""

    def __init__(self, desk: Desk) -> None:
        super().__init__("Simulated operator")
        self._desk = desk
        self.setObjectName("ask_operator")
        self.setAccessibleName("Ask the simulated operator")
        self.setToolTip("The simulated room's operator moves the tools")
        self.setProperty("kind", "small")
        menu = QMenu(self)
        for title, request, details in REQUESTS:
            action = menu.addAction(title)
            if action is not None:
                action.triggered.connect(
                    lambda _=False, do=request, how=details: self._ask(do, how)
                )
        self.setMenu(menu)
        self.hide()

    def follow(self) -> None:
        """Come and go with the operator."""
        self.setVisible(self._desk.session.connection.operator is not None)

    def _ask(self, do: str, details: dict[str, float]) -> None:
        connection = self._desk.session.connection
        self._desk.attempt(lambda: connection.ask_operator(do, **details))
