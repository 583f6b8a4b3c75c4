"""The chart: rows a second of every peer, a panel a number of rows, drawn from the page's tables so that both agree."""
from html import escape

from lib.figures import count
from .comparison import EXTRAPOLATED, HOW, RATE

WIDTH, MARGIN, LABEL, VALUE, BAR, GAP, HEAD = 960, 16, 440, 90, 18, 8, 52
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f } .title { font-size: 15px; font-weight: 600 }
  .note { fill: #57606a } .back { fill: #ffffff } .peer { fill: #8c959f } .ours { fill: #0969da } .guess { fill-opacity: 0.45 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note { fill: #9198a1 } .back { fill: #0d1117 } .peer { fill: #6e7681 } .ours { fill: #4493f8 }
  }"""


def bars(section):
    """(how, rows a second) of each line of the section's first table."""
    lines = [[cell.strip() for cell in line[2:-2].split(" | ")] for line in section.splitlines() if line.startswith("|")]
    header = lines[0]
    table = lines[2:next((i for i, line in enumerate(lines) if len(line) != len(header)), len(lines))]
    return [(line[header.index(HOW)], float(line[header.index(RATE)].replace(",", ""))) for line in table]


def bar(top, how, rate, most):
    """A label, its bar and the rate beside it."""
    label = how.partition(f" ({EXTRAPOLATED}")[0]
    length = max(1, rate / most * (WIDTH - 2 * MARGIN - LABEL - VALUE))
    kind = "ours" if how.startswith("job") else "peer"
    if label != how:
        label += f" ({EXTRAPOLATED})"
        kind += " guess"
    x = MARGIN + LABEL
    middle = top + BAR - 5
    return (f'<text x="{x - 8}" y="{middle}" text-anchor="end">{escape(label)}</text>'
            f'<rect class="{kind}" x="{x}" y="{top}" width="{length:.1f}" height="{BAR}" rx="2"/>'
            f'<text x="{x + length + 6:.1f}" y="{middle}">{rate:,.0f}</text>')


def draw(title, sections):
    """An SVG of the sections: rows -> text."""
    parts = []
    top = MARGIN
    for rows, section in sections.items():
        found = bars(section)
        most = max(rate for _, rate in found)
        parts.append(f'<text class="title" x="{MARGIN}" y="{top + 16}">{escape(title)}, {count(rows)} rows: rows a second</text>')
        top += HEAD - 20
        for how, rate in found:
            parts.append(bar(top, how, rate, most))
            top += BAR + GAP
        top += 20
    parts.append(f'<text class="note" x="{MARGIN}" y="{top}">Medians of one interleaved run each; pale bars are extrapolated.</text>')
    height = top + MARGIN
    body = "\n".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">'
            f"<title>{escape(title)}</title><style>{STYLE}\n</style>\n"
            f'<rect class="back" width="100%" height="100%"/>\n{body}\n</svg>\n')
