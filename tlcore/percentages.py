"""Percentages as people read them: the one rounding of pages, reports and the command line.

Only a share that was counted can be all or none of it. A probability never is: what rounds to
100% is ">99%", what rounds to nothing "<0.1%". Differences of percentages are points.
"""

from __future__ import annotations


def percent(share: float, digits: int = 0) -> str:
    """Return a counted share of 0…1: "94%", "3.2%", "<0.1%", ">99%"; "0%" and "100%" are exact."""
    return f"{share:.0%}" if share in (0, 1) else probability(share, digits)


def probability(value: float, digits: int = 0) -> str:
    """Return a probability of 0…1, never "0%" nor "100%": "94%", "3.2%", "<0.1%", ">99%".

    Args:
        value: 0…1.
        digits: behind the point; below 10% at least one.
    """
    digits = max(digits, int(value < 0.0995))
    unit = 10.0**-digits
    if value * 100 < unit:
        return f"<{unit:.{digits}f}%"
    shown = f"{value:.{digits}%}"
    return f">{100 - unit:.{digits}f}%" if float(shown[:-1]) >= 100 else shown


def bounds(low: float, high: float) -> str:
    """Return the bounds of an interval of 0…1 in per cent: "90–97", "99.9–100.0" where close."""
    digits = int(f"{low:.0%}" == f"{high:.0%}")
    return f"{low * 100:.{digits}f}–{high * 100:.{digits}f}"


def points(difference: float) -> str:
    """Return how far two percentages lie apart, 0…1: "32 points", "3.4 points", ">99 points"."""
    return f"{probability(difference)[:-1]} points" if difference else "0 points"


def signed_points(difference: float) -> str:
    """Return a change of a percentage, −1…1: "+3.3 points", "−0.7 points", "0.0 points"."""
    return f"{signed(difference)} points"


def signed(difference: float) -> str:
    """Return the same without its unit, for the bounds of an interval: "+3.3", "−0.7", "0.0"."""
    text = f"{difference * 100:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")
