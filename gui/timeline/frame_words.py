"""What is known about a frame, in words: for tool tips and for those who cannot see the lanes."""

from PySide6.QtCore import QCoreApplication

from gui.document import Document
from gui.timeline.timecode import format_timecode
from interaction.types import FrameStatus

__all__ = ["describe_frame"]


def describe_frame(document: Document, frame: int) -> str:
    """Number and time, status, objects, doubt: a line each."""
    record = document.annotation.record(frame)
    status = {
        FrameStatus.EMPTY: _tr("no mask yet"),
        FrameStatus.TRACKED: _tr("tracked"),
        FrameStatus.CORRECTED: _tr("made by hand"),
        FrameStatus.CONFIRMED: _tr("confirmed"),
    }[record.status]
    time = format_timecode(float(document.video.timestamps_s[frame]))
    final = document.frame_count - 1
    lines = [_tr("Frame {0} of {1}, {2}").format(frame, final, time), status]
    if record.mask is not None:
        names = [one.name for one in document.objects if one.id in record.present]
        lines.append(", ".join(names) if names else _tr("no object"))
    if record.status is FrameStatus.TRACKED:
        lines.append(_tr("Doubt: {} %").format(round(record.doubt * 100)))
    return "\n".join(lines)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Timeline", text)
