"""Labels: a scanner reads the claim URL from both forms, a person the serial number, and nobody a secret."""

from __future__ import annotations

import base64
import io
import itertools
import re
import xml.etree.ElementTree as ET
import zlib

import pytest
import segno
import zxingcpp
from PIL import Image, ImageDraw

from thermokeeper.errors import ToolError
from thermokeeper.factory import label
from thermokeeper.factory.units import Plan, Seed

URL = "https://things.example.com/claim/THERM00000000000001"
LABEL = label.Label("Thermometer & more", "THERM00000000000001", URL)
PLAN = Plan(
    "thermometer", "gadgetkeeper", "", "4MiB", URL.replace("THERM00000000000001", "{serial}"), "Thermometer", ""
)
SVG = "{http://www.w3.org/2000/svg}"
DOTS_PER_MM = 12  # a label printer's 300 dpi


def _scanned(image: Image.Image) -> list[str]:
    return [code.text for code in zxingcpp.read_barcodes(image)]


def _drawn(bars: list[tuple[float, float, float, float]]) -> Image.Image:
    """The label with these bars (left, top, right, bottom, in mm)."""
    size = (label.WIDTH_MM * DOTS_PER_MM, label.HEIGHT_MM * DOTS_PER_MM)
    image = Image.new("L", size, 255)
    draw = ImageDraw.Draw(image)
    for bar in bars:
        left, top, right, bottom = (round(edge * DOTS_PER_MM) for edge in bar)
        draw.rectangle((left, top, right - 1, bottom - 1), fill=0)
    return image


def _bars_of_svg(data: bytes) -> list[tuple[float, float, float, float]]:
    path = ET.fromstring(data).find(f"{SVG}path")
    assert path is not None
    place = re.fullmatch(r"translate\(([\d.]+) ([\d.]+)\) scale\(([\d.]+)\)", path.get("transform", ""))
    assert place is not None
    left, top, scale = map(float, place.groups())
    bars = re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", path.get("d", ""))
    return [
        (left + x * scale, top + y * scale, left + (x + length) * scale, top + (y + 1) * scale)
        for x, y, length in (map(int, bar) for bar in bars)
    ]


def _bars_of_pdf(data: bytes) -> list[tuple[float, float, float, float]]:
    stream = data.split(b"stream\n", 1)[1].split(b"~>", 1)[0]
    content = zlib.decompress(base64.a85decode(stream))
    bars = []
    for found in re.finditer(rb"([\d.-]+) ([\d.-]+) ([\d.-]+) ([\d.-]+) re", content):
        x, y, width, height = (float(number) * 25.4 / 72 for number in found.groups())
        bars.append((x, label.HEIGHT_MM - y - height, x + width, label.HEIGHT_MM - y))
    return bars


def test_a_scanner_reads_the_claim_url_from_the_svg():
    assert _scanned(_drawn(_bars_of_svg(label.svg(LABEL)))) == [URL]


def test_a_scanner_reads_the_claim_url_from_the_pdf():
    assert _scanned(_drawn(_bars_of_pdf(label.pdf([LABEL])))) == [URL]


def test_the_svg_names_serial_title_and_host_for_a_person():
    root = ET.fromstring(label.svg(LABEL))
    assert [text.text for text in root.findall(f"{SVG}text")] == [LABEL.title, LABEL.serial, "things.example.com"]
    assert (root.get("width"), root.get("height")) == ("60mm", "25mm")


def test_every_text_fits_on_the_label():
    long = label.Label("A product with quite a long name", "S" * 64, f"https://{'x' * 60}.example.com/{'S' * 64}")
    for text in ET.fromstring(label.svg(long)).findall(f"{SVG}text"):
        size_pt = float(text.get("font-size", "0")) * 72 / 25.4
        width_mm = (
            label.stringWidth(text.text, "Helvetica-Bold" if text.get("font-weight") else "Helvetica", size_pt)
            * 25.4
            / 72
        )
        assert float(text.get("x", "0")) + width_mm <= label.WIDTH_MM - 1.9
        # a viewer with another font is told how wide it is
        assert float(text.get("textLength", "0")) == pytest.approx(width_mm, abs=0.02)
    assert _scanned(_drawn(_bars_of_svg(label.svg(long)))) == [long.url]


def test_the_claim_code_is_there_for_a_person_and_for_a_scanner():
    coded = label.label_of(PLAN, Seed("THERM00000000000001", "", claim_code="7K3Q-X9FD"))
    texts = ET.fromstring(label.svg(coded)).findall(f"{SVG}text")
    assert [text.text for text in texts] == ["Thermometer", coded.serial, "7K3Q-X9FD", "things.example.com"]
    bottoms = [float(text.get("y", "0")) for text in texts]
    assert bottoms == sorted(bottoms) and all(low - high >= 4 for high, low in itertools.pairwise(bottoms))
    for made in (_bars_of_svg(label.svg(coded)), _bars_of_pdf(label.pdf([coded]))):
        assert _scanned(_drawn(made)) == [f"{URL}#7K3Q-X9FD"]


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("https://x.example/{serial}", "https://x.example/S1#7K3Q-X9FD"),
        ("https://x.example/#/{serial}", "https://x.example/#/S1&code=7K3Q-X9FD"),
        ("https://x.example/{serial}?c={code}", "https://x.example/S1?c=7K3Q-X9FD"),
    ],
)
def test_the_claim_code_stands_where_the_url_has_a_place_or_behind_it(template, url):
    assert label.claim_url(template, "S1", "7K3Q-X9FD") == url


def test_a_scratched_code_is_still_read():
    image = _drawn(_bars_of_svg(label.svg(LABEL)))
    ImageDraw.Draw(image).rectangle((120, 120, 160, 150), fill=255)
    assert _scanned(image) == [URL]


def test_a_pdf_has_a_page_for_each_label_and_is_the_same_each_time():
    labels = [label.Label("T", f"S{number}", f"https://x.example/S{number}") for number in range(5)]
    made = label.pdf(labels)
    assert made == label.pdf(iter(labels))
    assert len(re.findall(rb"/Type /Page\b", made)) == 5


def test_the_code_is_the_one_that_segno_makes_of_the_url():
    made = io.StringIO()
    segno.make(URL, error="m", micro=False).save(made, kind="txt", border=4)
    rows = [[int(module) for module in line] for line in made.getvalue().split()]
    runs = {(x, y) for left, y, length in label._runs(label.code(URL)) for x in range(left, left + length)}
    assert runs == {(x, y) for y, row in enumerate(rows) for x, dark in enumerate(row) if dark}


@pytest.mark.parametrize("wrong", ["https://x.example/", "{serial}", "ftp://x/{serial}", "https://x/{other}", "{"])
def test_a_claim_url_has_to_lead_somewhere_and_name_the_serial_number(wrong):
    with pytest.raises(ToolError, match="--claim-url"):
        label.claim_url(wrong, "S1")


def test_letters_that_the_font_hasnt_are_refused():
    with pytest.raises(ToolError, match="font"):
        label.svg(label.Label("温度計", "S1", URL))


def test_labels_are_made_again_for_tested_boards(factory, pattern, tmp_path):
    factory.new("first", "--pattern", pattern, "--count", 2, "--title", "Kitchen")
    out = tmp_path / "labels.pdf"
    with pytest.raises(ToolError, match="no board of first is tested yet"):
        factory.tool("labels", "first", "--out", out)
    for step in ("flashed", "verified", "tested"):
        factory.journal.record("THERM00000000000002", step)
    assert "1 label," in factory.tool("labels", "first", "--out", out)
    url = "https://things.example.com/claim/THERM00000000000002"
    code = factory.journal.unit("THERM00000000000002").claim_code
    assert out.read_bytes() == label.pdf([label.Label("Kitchen", "THERM00000000000002", f"{url}#{code}", code)])
    for serial in ("THERM00000000000001", "THERM00000000000002"):
        for step in ("flashed", "verified", "tested", "labelled", "registered"):
            factory.journal.record(serial, step)
    factory.tool("forget", "first")
    assert code.encode() not in (factory.folder / "journal.db").read_bytes()
    with pytest.raises(ToolError, match="was forgotten: its label can't be printed again"):
        factory.tool("labels", "first", "--out", out)
