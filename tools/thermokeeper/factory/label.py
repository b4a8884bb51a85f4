"""A board's label, 60 x 25 mm, as SVG and PDF: a QR code with the claim URL, and title, serial and host for people."""

import functools
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import segno
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from thermokeeper.errors import ToolError

WIDTH_MM = 60
HEIGHT_MM = 25
_QR_MM = 23  # with its quiet zone
_EDGE_MM = 1
_QUIET = 4  # modules around it that have to stay white
_TEXT_MM = WIDTH_MM - _QR_MM - 4 * _EDGE_MM  # two on the right: cutters and printers are off by half of that
_FONT = "Helvetica"
_POINT_MM = 1 / mm


@dataclass(frozen=True)
class Label:
    """`url` is what the code says; it names the serial number."""

    title: str
    serial: str
    url: str


def claim_url(template: str, serial: str) -> str:
    """The claim URL of one board; ToolError if the template can't give one."""
    try:
        url = template.format(serial=serial)
        parts = urlsplit(url)
    except (ValueError, KeyError, IndexError):
        parts = None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or serial not in url:
        raise ToolError("--claim-url: should look like https://things.example.com/claim/{serial}")
    return url


@functools.lru_cache(maxsize=64)  # a label is drawn more than once: as SVG, as PDF, on the sheet
def code(url: str) -> segno.QRCode:
    """The QR code: a tenth of it may be scratched away."""
    return segno.make(url, error="m", micro=False)


def svg(label: Label) -> bytes:
    """One label, in millimetres."""
    made = code(label.url)
    scale = _QR_MM / made.symbol_size(border=_QUIET)[0]
    path = "".join(f"M{x} {y}h{length}v1h-{length}z" for x, y, length in _runs(made))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_MM}mm" height="{HEIGHT_MM}mm"'
        f' viewBox="0 0 {WIDTH_MM} {HEIGHT_MM}">',
        f'<rect width="{WIDTH_MM}" height="{HEIGHT_MM}" fill="#fff"/>',
        f'<path transform="translate({_EDGE_MM} {_EDGE_MM}) scale({scale:.6f})" d="{path}"'
        ' shape-rendering="crispEdges"/>',
    ]
    for text, y, font, points, width in _texts(label):
        bold = ' font-weight="bold"' if font != _FONT else ""
        lines.append(
            f'<text x="{_QR_MM + 2 * _EDGE_MM}" y="{y}" font-family="{_FONT}, Arial, sans-serif"{bold}'
            # in whatever font the viewer has for it, it takes the place that it is meant to take
            f' font-size="{points * _POINT_MM:.3f}" textLength="{width:.3f}" lengthAdjust="spacingAndGlyphs">'
            f"{escape(text)}</text>"
        )
    return "\n".join([*lines, "</svg>\n"]).encode()


def pdf(labels: Iterable[Label]) -> bytes:
    """A page for each label, of the label's size; the same labels give the same bytes."""
    output = io.BytesIO()
    canvas = Canvas(output, pagesize=(WIDTH_MM * mm, HEIGHT_MM * mm), invariant=1)
    canvas.setTitle("Labels")
    for label in labels:
        made = code(label.url)
        module = _QR_MM * mm / made.symbol_size(border=_QUIET)[0]
        top = (HEIGHT_MM - _EDGE_MM) * mm
        path = canvas.beginPath()
        for x, y, length in _runs(made):
            path.rect(_EDGE_MM * mm + x * module, top - (y + 1) * module, length * module, module)
        canvas.drawPath(path, stroke=0, fill=1)
        for text, base_mm, font, points, _ in _texts(label):
            canvas.setFont(font, points)
            canvas.drawString((_QR_MM + 2 * _EDGE_MM) * mm, (HEIGHT_MM - base_mm) * mm, text)
        canvas.showPage()
    canvas.save()
    return output.getvalue()


def _runs(made: segno.QRCode) -> Iterator[tuple[int, int, int]]:
    """(x, y, length) of the black bars, in modules, quiet zone included."""
    for y, row in enumerate(made.matrix_iter(border=_QUIET)):
        start = None
        for x, dark in enumerate([*row, 0]):
            if dark and start is None:
                start = x
            elif not dark and start is not None:
                yield start, y, x - start
                start = None


def _texts(label: Label) -> Iterator[tuple[str, float, str, float, float]]:
    """(text, base line from the top in mm, font, size in points, width in mm), each small enough for its place."""
    rows = ((label.title, 8, f"{_FONT}-Bold", 11.0), (label.serial, 14, _FONT, 9.0), (_host(label.url), 20, _FONT, 7.0))
    for text, y, font, points in rows:
        try:
            text.encode("cp1252")
        except UnicodeEncodeError:
            raise ToolError(f"{text!r} has letters that the label's font hasn't") from None
        width_mm = stringWidth(text, font, points) * _POINT_MM
        share = min(1, _TEXT_MM / max(width_mm, 1e-9))
        yield text, y, font, points * share, width_mm * share


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
