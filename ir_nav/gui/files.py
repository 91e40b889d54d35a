"""File dialogs that do not stop the program: the answer comes as a call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtWidgets import QFileDialog, QWidget

IMAGES = "Images (*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.zip *.dcm DICOMDIR);;All files (*)"
LABELS = "Structures (*.nii *.nii.gz *.nrrd *.nhdr *.mha *.mhd *.dcm);;All files (*)"
ROOMS = "Room files (*.toml);;All files (*)"
REGISTRATIONS = "Registrations (*.json);;All files (*)"
PLANS = "Plans (*.json);;All files (*)"
LOGS = "Needle logs (*.irlog);;All files (*)"
PDFS = "PDF (*.pdf)"
CALIBRATIONS = "Calibrations (*.json);;All files (*)"
PHANTOMS = "Phantoms (*.json *.xml);;All files (*)"


def ask_file(
    parent: QWidget, title: str, folder: str, kinds: str, chosen: Callable[[Path], None]
) -> QFileDialog:
    """Ask for a file that exists."""
    return _ask(parent, title, folder, kinds, chosen, QFileDialog.FileMode.ExistingFile)


def ask_folder(
    parent: QWidget, title: str, folder: str, chosen: Callable[[Path], None]
) -> QFileDialog:
    """Ask for a folder."""
    return _ask(parent, title, folder, "", chosen, QFileDialog.FileMode.Directory)


def ask_save(
    parent: QWidget, title: str, proposal: str, kinds: str, chosen: Callable[[Path], None]
) -> QFileDialog:
    """Ask where to write; `proposal` is folder and name."""
    dialog = _ask(
        parent, title, str(Path(proposal).parent), kinds, chosen, QFileDialog.FileMode.AnyFile
    )
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.selectFile(Path(proposal).name)
    return dialog


def _ask(
    parent: QWidget,
    title: str,
    folder: str,
    kinds: str,
    chosen: Callable[[Path], None],
    mode: QFileDialog.FileMode,
) -> QFileDialog:
    dialog = QFileDialog(parent, title, folder, kinds)
    # The toolkit's own dialog follows the theme, and works without a desktop.
    dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
    dialog.setFileMode(mode)
    dialog.fileSelected.connect(lambda name: chosen(Path(name)))
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
    return dialog
