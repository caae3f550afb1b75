"""The privacy mask: polygons blacked out in a picture's own bytes, in plain Python, once per size worked out.

The capture process does this before anything else sees the picture; it has neither numpy nor OpenCV for it.
"""

from __future__ import annotations

import math

BYTES_A_PIXEL = 3

Polygon = list[tuple[float, float]]


class Burner:
    """Blacks the mask out, in place. mask: polygons of [x, y], 0..1 from the top left."""

    def __init__(self, mask: list[list[list[float]]]) -> None:
        self._mask = mask
        self._size = (0, 0)
        self._spans: list[tuple[int, int]] = []

    def burn(self, pixels: memoryview, width: int, height: int) -> None:
        """Fill every polygon with black, its edge included. pixels: the bytes of a BGR picture, rows without gaps."""
        if (width, height) != self._size:
            self._size, self._spans = (width, height), spans(self._mask, width, height)
        for start, end in self._spans:
            pixels[start:end] = bytes(end - start)


def spans(mask: list[list[list[float]]], width: int, height: int) -> list[tuple[int, int]]:
    """Stretches of bytes to black out, in order. A pixel that a polygon or its edge touches belongs to them."""
    found = []
    for polygon in mask:
        corners = [(x * width, y * height) for x, y in polygon]
        for row in range(height):
            for left, right in _covered(corners, row):
                first, last = max(0, math.floor(left)), min(width - 1, math.floor(right))
                if first <= last:
                    found.append((BYTES_A_PIXEL * (row * width + first), BYTES_A_PIXEL * (row * width + last + 1)))
    return _joined(found)


def _covered(corners: Polygon, row: int) -> list[tuple[float, float]]:
    """Where a row of pixels, row..row + 1, is covered: x from and to. Inside by the even-odd rule, and every edge."""
    middle = row + 0.5
    crossings: list[float] = []
    covered = []
    for (x0, y0), (x1, y1) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if min(y0, y1) <= row + 1 and max(y0, y1) >= row:
            covered.append(_edge_in_row((x0, y0), (x1, y1), row))
        if min(y0, y1) <= middle < max(y0, y1):
            crossings.append(x0 + (middle - y0) * (x1 - x0) / (y1 - y0))
    crossings.sort()
    return covered + list(zip(crossings[::2], crossings[1::2], strict=True))


def _edge_in_row(start: tuple[float, float], end: tuple[float, float], row: int) -> tuple[float, float]:
    """The x from and to of an edge within a row that it touches."""
    (x0, y0), (x1, y1) = start, end
    if y0 == y1:
        return min(x0, x1), max(x0, x1)
    at = [x0 + (min(max(y, row), row + 1) - y0) * (x1 - x0) / (y1 - y0) for y in (y0, y1)]
    return min(at), max(at)


def _joined(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Overlapping stretches made one, so that no byte is written twice."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
