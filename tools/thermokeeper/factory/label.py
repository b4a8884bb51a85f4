"""A board's label, 60 x 25 mm, as SVG and PDF: a QR code with the claim URL, beside it title, serial, code and host."""

import functools
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import segno
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from thermokeeper.errors import ToolError
from thermokeeper.factory.units import Plan, Seed

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
    """`url` is what the QR code says; it names the serial number, and the claim code if there is one."""

    title: str
    serial: str
    url: str = field(repr=False)
    code: str | None = field(default=None, repr=False)


def label_of(plan: Plan, unit: Seed) -> Label:
    """ToolError if the unit's claim code was forgotten."""
    if unit.claim_code == "":
        raise ToolError(f"the claim code of {unit.serial} was forgotten: its label can't be printed again")
    return Label(plan.title, unit.serial, claim_url(plan.claim_url, unit.serial, unit.claim_code), unit.claim_code)


def claim_url(template: str, serial: str, code: str | None = None) -> str:
    """The claim URL of one board; ToolError if the template can't give one.

    A code that it has no place for stands behind a `#`: browsers don't send that, so no log on the way has it.
    """
    try:
        if code is not None and "{code}" not in template:
            template += "&code={code}" if "#" in template else "#{code}"
        url = template.format(serial=serial, code=code or "")
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
    if label.code is None:
        lines = (8.0, 14.0, 20.0)
        code = []
    else:
        lines = (6.5, 11.5, 21.5)
        code = [(label.code, 16.5, f"{_FONT}-Bold", 10.0)]
    title, serial, host = lines
    rows = [(label.title, title, f"{_FONT}-Bold", 11.0), (label.serial, serial, _FONT, 9.0), *code]
    rows.append((_host(label.url), host, _FONT, 7.0))
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
