"""The fields of one archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from PyQt6.QtWidgets import QComboBox, QGridLayout, QLineEdit, QVBoxLayout, QWidget

from ir_nav.archive import ArchiveError, DimseArchive, TlsFiles, WebArchive, invalid_words
from ir_nav.gui.forms import label

DIMSE, WEB = "DICOM (DIMSE)", "DICOMweb"
KINDS = (DIMSE, WEB)
RETRIEVE = {"C-GET": "get", "C-MOVE": "move"}
TLS = ("Without TLS", "With TLS")

_DIMSE = (
    ("host", "Host", "pacs.hospital.example"),
    ("port", "Port", "104"),
    ("ae_title", "Archive's AE title", "PACS"),
    ("our_ae_title", "Our AE title", "IRNAV"),
    ("move_port", "Our port for C-MOVE", "11112"),
)
_WEB = (
    ("url", "URL", "https://pacs.hospital.example/dicom-web"),
    ("user", "User", "none"),
    ("password", "Password", ""),
)
_FILES = (
    ("ca_file", "CA file (PEM)", "the computer's own list"),
    ("certificate", "Our certificate (PEM)", "none"),
    ("key", "Its key (PEM)", "none"),
)
_FOR_DIMSE = {name for name, _, _ in (*_DIMSE, *_FILES)} | {"retrieve", "tls"}
_FOR_WEB = {name for name, _, _ in _WEB} | {"ca_file"}


class ArchiveForm(QWidget):
    """Shows the fields that the kind of archive needs."""

    def __init__(self) -> None:
        super().__init__()
        self._fields: dict[str, QLineEdit] = {}
        self._rows: dict[str, tuple[QWidget, QWidget]] = {}
        self._grid = QGridLayout()
        self._grid.setVerticalSpacing(8)
        self._grid.setHorizontalSpacing(14)
        self._grid.setColumnStretch(1, 1)
        self._field("name", "Name", "Ward archive")
        self._kind = self._list("kind", "Speaks", KINDS)
        for entry in (*_DIMSE, *_WEB):
            self._field(*entry)
        self._retrieve = self._list("retrieve", "Fetch with", tuple(RETRIEVE))
        self._tls = self._list("tls", "Encryption", TLS)
        for entry in _FILES:
            self._field(*entry)
        self._fields["password"].setEchoMode(QLineEdit.EchoMode.Password)
        for choice in (self._kind, self._tls, self._retrieve):
            choice.currentIndexChanged.connect(self._follow)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self._grid)
        self.show_archive(None)

    def show_archive(self, archive: DimseArchive | WebArchive | None) -> None:
        """Fill the fields; empty ones for None."""
        values: dict[str, Any] = {}
        tls: TlsFiles | None = None
        if archive is not None:
            values = archive.model_dump(exclude_none=True)
        if isinstance(archive, DimseArchive):
            tls = archive.tls
            values |= {} if tls is None else tls.model_dump(exclude_none=True)
        for name, field in self._fields.items():
            value = values.get(name, "")
            text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            field.setText(text)
        self._kind.setCurrentText(WEB if isinstance(archive, WebArchive) else DIMSE)
        self._tls.setCurrentIndex(int(tls is not None))
        moves = isinstance(archive, DimseArchive) and archive.retrieve == "move"
        self._retrieve.setCurrentIndex(int(moves))
        self._follow()

    def archive(self) -> DimseArchive | WebArchive:
        """What the fields say. Raises ArchiveError, which names the field."""
        given = {name: field.text().strip() for name, field in self._fields.items()}
        shown = {name: text for name, text in given.items() if text and name in self._wanted()}
        try:
            if self._kind.currentText() == WEB:
                return WebArchive(name=given["name"], **_without(shown, "name"))
            files = {name: Path(shown.pop(name)) for name, _, _ in _FILES if name in shown}
            tls = TlsFiles(**files) if self._tls.currentIndex() else None
            retrieve = RETRIEVE[self._retrieve.currentText()]
            rest = _without(shown, "name")
            return DimseArchive.model_validate(
                {"name": given["name"], "retrieve": retrieve, "tls": tls, **rest}
            )
        except ValidationError as error:
            raise ArchiveError(_in_field_words(invalid_words(error))) from None

    def _wanted(self) -> set[str]:
        if self._kind.currentText() == WEB:
            return {"name", *_FOR_WEB}
        wanted = {"name", *_FOR_DIMSE}
        if not self._tls.currentIndex():
            wanted -= {name for name, _, _ in _FILES}
        if not self._retrieve.currentIndex():
            wanted -= {"move_port"}
        return wanted

    def _follow(self) -> None:
        wanted = self._wanted() | {"kind"}
        for name, widgets in self._rows.items():
            for widget in widgets:
                widget.setVisible(name in wanted)

    def _field(self, name: str, words: str, example: str) -> None:
        field = QLineEdit()
        field.setPlaceholderText(example)
        self._fields[name] = field
        self._place(name, words, field)

    def _list(self, name: str, words: str, choices: tuple[str, ...]) -> QComboBox:
        made = QComboBox()
        made.addItems(choices)
        self._place(name, words, made)
        return made

    def _place(self, name: str, words: str, widget: QWidget) -> None:
        widget.setObjectName(f"archive_{name}")
        widget.setAccessibleName(words)
        caption = label(words)
        caption.setWordWrap(False)
        caption.setBuddy(widget)
        row = len(self._rows)
        self._grid.addWidget(caption, row, 0)
        self._grid.addWidget(widget, row, 1)
        self._rows[name] = (caption, widget)


def _without(values: dict[str, str], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def _in_field_words(words: str) -> str:
    """A complaint with the field's name as it stands on screen."""
    place, colon, rest = words.partition(": ")
    names = {name: shown for name, shown, _ in (*_DIMSE, *_WEB, *_FILES)} | {"name": "Name"}
    return f"{names.get(place, place)}{colon}{rest}"
