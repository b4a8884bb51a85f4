"""What a console has shown, as an SVG picture that scrolls through it like the terminal did, and needs nothing else.

It begins with the first lines, so a viewer without animations has those. It must not know what was shown.
"""

from __future__ import annotations

import re

from rich.console import Console
from rich.terminal_theme import MONOKAI

LINES = 30  # that are seen at once
_LINE_PX = 24.4  # what rich has for its 20 px characters
_AROUND_PX = 51  # title and frame
_LINE_S, _FIRST_S, _LAST_S = 0.4, 3, 8
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # which would be fetched from elsewhere
_HEIGHTS = (
    (re.compile(r'(viewBox="0 0 [\d.]+ )[\d.]+(")'), _AROUND_PX),
    (re.compile(r'(stroke-width="1" x="1" y="1" width="[\d.]+" height=")[\d.]+(")'), _AROUND_PX - 2),
    (re.compile(r'(<rect x="0" y="0" width="[\d.]+" height=")[\d.]+(")'), 0),
)


def scrolling(console: Console, title: str) -> str:
    """The picture of a console that records."""
    svg = _FONTS.sub("", console.export_svg(title=title, theme=MONOKAI, unique_id="shown"))
    lines = svg.count('<clipPath id="shown-line-')
    seen = min(lines, LINES)
    for pattern, more in _HEIGHTS:
        svg, found = pattern.subn(rf"\g<1>{seen * _LINE_PX + more:.1f}\g<2>", svg, count=1)
        assert found, f"rich draws its terminal otherwise: {pattern.pattern}"
    steps = lines - seen
    took_s = _FIRST_S + steps * _LINE_S + _LAST_S
    begins, ends = 100 * _FIRST_S / took_s, 100 * (took_s - _LAST_S) / took_s
    style = f"""
    @media (prefers-color-scheme: dark) {{ .rich-terminal > rect {{ stroke: #8b949e; }} }}
    .shown-matrix {{ animation: shown-scroll {took_s:.1f}s infinite; }}
    @keyframes shown-scroll {{
        0%, {begins:.2f}% {{ transform: translateY(0); animation-timing-function: steps({max(steps, 1)}); }}
        {ends:.2f}%, 100% {{ transform: translateY(-{steps * _LINE_PX:.1f}px); }}
    }}
    </style>"""
    return svg.replace("<style>", f"<title>{title}</title>\n    <style>", 1).replace("</style>", style, 1)
