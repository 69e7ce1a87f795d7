"""Drawings as inline SVG whose colours are CSS variables, so that one drawing serves light, dark and paper.

Every picture is drawn twice, wide and narrow: text that is scaled down to a telephone cannot be read. The same
data give the same bytes: no dates, no random ids.
"""

import io
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# matplotlib wants colours; each of these is replaced by the style sheet's variable of that name after drawing.
INKS: Mapping[str, str] = {
    "ink": "#010203",
    "muted": "#020304",
    "line": "#030405",
    "accent": "#040506",
    "accent-wash": "#050607",
    "accent-mist": "#060708",
    "rival": "#070809",
    "bad": "#08090a",
    "surface": "#090a0b",
}
_STYLE: Mapping[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 12,
    "text.color": INKS["ink"],
    "axes.edgecolor": INKS["line"],
    "axes.facecolor": "none",
    "axes.labelcolor": INKS["muted"],
    "axes.labelsize": 11.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.unicode_minus": True,
    "grid.color": INKS["line"],
    "grid.linewidth": 0.7,
    "xtick.color": INKS["line"],
    "ytick.color": INKS["line"],
    "xtick.labelcolor": INKS["muted"],
    "ytick.labelcolor": INKS["muted"],
    "xtick.labelsize": 11.5,
    "ytick.labelsize": 11.5,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.borderpad": 0,
    "legend.borderaxespad": 0.2,
    "legend.fontsize": 11.5,
    "lines.linewidth": 1.5,
    "lines.solid_joinstyle": "round",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "path.simplify": True,
    "path.simplify_threshold": 0.4,
}
_NARROW = 4.9


def both_widths(
    name: str, draw: Callable[["Figure", bool], None], wide: tuple[float, float], narrow_height: float
) -> str:
    """A picture for wide and for narrow screens; the style sheet shows one of them.

    Parameters
    ----------
    name
        Unique on the page; it salts the ids inside.
    draw
        Draws on an empty figure; told whether it is the narrow one.
    wide
        Width and height in inches of 72 pixels.
    narrow_height
        Height of the narrow one.
    """
    return (
        f'<div class="wide">{_svg(f"{name}-wide", draw, wide, narrow=False)}</div>'
        f'<div class="narrow">{_svg(f"{name}-narrow", draw, (_NARROW, narrow_height), narrow=True)}</div>'
    )


def _svg(name: str, draw: Callable[["Figure", bool], None], size: tuple[float, float], *, narrow: bool) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=size)
        draw(figure, narrow)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _inline(stream.getvalue())


def _inline(svg: str) -> str:
    """The ``<svg>`` element alone: no prologue, no absolute size, only ids that are referred to, inks as variables."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1), count=1
    )
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", svg)
    # A tenth of a pixel is finer than any screen shows, and half the file.
    svg = re.sub(r' d="[^"]*"', lambda path: re.sub(r"([.]\d)\d+", r"\1", path[0]), svg)
    for ink, colour in INKS.items():
        svg = svg.replace(colour, f"var(--{ink})")
    # The page's own typeface, whatever matplotlib believed it measured.
    svg = re.sub(r"font: ([\d.]+)px[^;\"]*", r"font-size: \1px", svg)
    return re.sub(r"\n\s*", "\n", svg)
