"""Cloth: patterns on a sheet that is later wrapped round a body part.

A sheet covers the whole turn of a part: column 0 and the last column meet
at the back, the middle column is the front. Rows run from top to bottom.
"""

import cv2
import numpy as np

__all__ = ['paint_pattern', 'plain_sheet', 'wrinkle']

Colour = tuple[int, int, int]


def plain_sheet(height: int, width: int, colour: Colour) -> np.ndarray:
    """Return a sheet (height, width, 3) uint8 of one colour."""
    return np.full((height, width, 3), colour, np.uint8)


def wrinkle(
    sheet: np.ndarray, rng: np.random.Generator, amount: float = 0.07
) -> np.ndarray:
    """Return the sheet with soft light and dark folds, seamless in turn.

    Args:
        sheet: (h, w, 3) uint8.
        rng: Source of the folds.
        amount: Standard deviation of the brightness. Defaults to 0.07.

    Returns:
        np.ndarray: (h, w, 3) uint8.
    """
    height, width = sheet.shape[:2]
    coarse = rng.normal(0, amount, (5, 7)).astype(np.float32)
    coarse = np.concatenate([coarse, coarse[:, :1]], axis=1)
    folds = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    folded = sheet * (1 + folds[..., None])
    return np.clip(folded, 0, 255).astype(np.uint8)


def paint_pattern(
    sheet: np.ndarray,
    pattern: str,
    second: Colour,
    unit: float,
    rng: np.random.Generator,
) -> None:
    """Paint a pattern over a sheet, in place.

    Args:
        sheet: (h, w, 3) uint8 with the main colour.
        pattern: One of the names of ``people.PATTERNS``.
        second: The pattern's colour.
        unit: Body height in rows of the sheet; it sets the pattern's size.
        rng: Source of period, phase and print.
    """
    height, width = sheet.shape[:2]
    rows = np.arange(height)[:, None]
    cols = np.arange(width)[None, :]
    period = max(4.0, unit * rng.uniform(0.035, 0.075))
    share = rng.uniform(0.35, 0.55)
    # A whole number of repeats, so that the seam at the back fits.
    turns = max(6, round(width / (period * 1.6)))
    around = cols * turns / width % 1
    if pattern == 'stripes':
        sheet[
            np.broadcast_to(rows % period < share * period, (height, width))
        ] = second
    elif pattern == 'bars':
        sheet[np.broadcast_to(around < share, (height, width))] = second
    elif pattern == 'checks':
        across = (rows % (1.5 * period) < 0.5 * period).astype(np.float32)
        along = (around < 0.4).astype(np.float32)
        weight = 0.5 * (across + along)[..., None]
        sheet[:] = (sheet * (1 - weight) + np.array(second) * weight).astype(
            np.uint8
        )
    elif pattern == 'dots':
        dy = (rows % period) / period - 0.5
        dx = (around + 0.5 * (rows // period % 2)) % 1 - 0.5
        sheet[dx**2 + dy**2 < 0.1] = second
    elif pattern == 'flowers':
        for _ in range(max(10, int(height * width / (1.1 * period**2)))):
            # Shares, not pixels: the same flowers at every resolution.
            across, down = rng.random(2)
            centre = (int(across * width), int(down * height))
            cv2.circle(sheet, centre, max(1, round(period * 0.24)), second, -1)
    elif pattern == 'band':
        top = rng.uniform(0.2, 0.5)
        sheet[int(top * height) : int((top + 0.2) * height)] = second
    elif pattern == 'block':
        top = rng.uniform(0.35, 0.6)
        if rng.random() < 0.5:
            sheet[: int(top * height)] = second
        else:
            sheet[int(top * height) :] = second
    elif pattern == 'sides':
        for centre in (0.25, 0.75):
            low, high = (
                int((centre - 0.06) * width),
                int((centre + 0.06) * width),
            )
            sheet[:, low:high] = second
    elif pattern == 'print':
        _paint_print(sheet, second, rng)


def _paint_print(
    sheet: np.ndarray, colour: Colour, rng: np.random.Generator
) -> None:
    """Paint a big sign on the chest, and sometimes on the back."""
    height, width = sheet.shape[:2]
    shape = int(rng.integers(5))
    centres = [0.5, 1.0] if rng.random() < 0.4 else [0.5]
    size = int(width * rng.uniform(0.08, 0.11))
    middle = int(height * rng.uniform(0.3, 0.45))
    for at in centres:
        stamp = np.zeros((height, width), np.uint8)
        x = width // 2
        if shape == 0:
            cv2.circle(stamp, (x, middle), size, 1, -1)
        elif shape == 1:
            cv2.rectangle(
                stamp,
                (x - size, middle - size // 2),
                (x + size, middle + size // 2),
                1,
                -1,
            )
        elif shape == 2:
            for row in (-0.8, 0, 0.8):
                y = int(middle + row * size)
                half = int(size * rng.uniform(0.5, 1.1))
                cv2.rectangle(
                    stamp,
                    (x - half, y),
                    (x + half, y + max(1, size // 3)),
                    1,
                    -1,
                )
        elif shape == 3:
            points = [
                (x, middle - size),
                (x + size, middle + size),
                (x - size, middle + size),
            ]
            cv2.fillPoly(stamp, [np.array(points)], 1)
        else:
            thick = max(2, size // 3)
            cv2.line(
                stamp,
                (x - size, middle - size),
                (x + size, middle + size),
                1,
                thick,
            )
            cv2.line(
                stamp,
                (x + size, middle - size),
                (x - size, middle + size),
                1,
                thick,
            )
        stamp = np.roll(stamp, int((at - 0.5) * width), axis=1)
        sheet[stamp > 0] = colour
