"""Medians, spreads and Markdown tables."""
from statistics import median


def percentile(values, share):
    """The nearest-rank percentile, share between 0 and 1."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def digits(value, places=3):
    """A number with about three significant digits, never in powers of ten."""
    if value == 0:
        return "0"
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:.{max(0, places - whole)}f}"


def spread(values, unit=""):
    """Median, and smallest to largest."""
    text = f"{digits(median(values))}{unit}"
    return text if len(values) == 1 else f"{text} ({digits(min(values))} – {digits(max(values))})"


def count(number):
    """1M, 20k or the number itself."""
    for size, unit in ((1000000, "M"), (1000, "k")):
        if number >= size and number % size == 0:
            return f"{number // size}{unit}"
    return str(number)


def table(header, lines):
    width = len(header)
    shown = [header, ["---"] * width, *lines]
    assert all(len(line) == width for line in shown)
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in shown)
