"""Shapes of the furniture, painted in metres from the lower left corner."""

from collections.abc import Callable

import numpy as np

__all__ = ['PAINTERS', 'PAINTS']

PAINTS = (
    (52, 48, 150),
    (140, 96, 50),
    (70, 110, 70),
    (60, 60, 64),
    (176, 178, 180),
    (60, 140, 190),
    (96, 70, 60),
)
Fill = Callable[..., None]


def _car(rect: Fill, poly: Fill, disc: Fill, c, rng) -> None:
    poly(
        [
            (0.1, 0.3),
            (0.1, 0.75),
            (0.8, 0.9),
            (1.3, 1.4),
            (2.9, 1.42),
            (3.5, 0.92),
            (4.1, 0.8),
            (4.15, 0.3),
        ],
        c,
    )
    poly([(0.1, 0.3), (0.1, 0.5), (4.15, 0.5), (4.15, 0.3)], c, 0.7)
    poly([(1.0, 0.92), (1.4, 1.33), (2.05, 1.34), (2.05, 0.92)], (96, 84, 70))
    poly([(2.15, 0.92), (2.15, 1.34), (2.8, 1.34), (3.3, 0.92)], (96, 84, 70))
    rect(0.1, 0.62, 0.3, 0.74, (210, 230, 240))
    rect(4.0, 0.62, 4.15, 0.74, (50, 50, 190))
    for x in (0.9, 3.3):
        disc(x, 0.33, 0.33, (34, 34, 34))
        disc(x, 0.33, 0.17, (150, 150, 150))


def _bollards(rect: Fill, poly: Fill, disc: Fill, c, rng) -> None:
    for x in (0.1, 1.3, 2.5):
        rect(x, 0, x + 0.2, 0.95, (70, 68, 66))
        rect(x, 0.7, x + 0.2, 0.8, (220, 222, 222))
        rect(x, 0, x + 0.06, 0.95, (104, 102, 100))
    poly(
        [
            (0.2, 0.8),
            (1.4, 0.66),
            (2.6, 0.8),
            (2.6, 0.76),
            (1.4, 0.6),
            (0.2, 0.76),
        ],
        (60, 60, 60),
    )


def _lamp(rect: Fill, poly: Fill, disc: Fill, c, rng) -> None:
    rect(0.3, 0, 0.5, 0.5, (60, 62, 58))
    rect(0.34, 0, 0.46, 4.2, (72, 74, 70))
    disc(0.4, 4.3, 0.24, (214, 232, 240))


def _planter(rect: Fill, poly: Fill, disc: Fill, c, rng) -> None:
    for _ in range(60):
        x, y = rng.uniform(0.2, 1.6), rng.uniform(0.55, 1.15)
        disc(x, y, 0.16, (44, 100, 64), rng.uniform(0.65, 1.25))
    for _ in range(8):
        disc(rng.uniform(0.2, 1.6), rng.uniform(0.7, 1.2), 0.05, c, 1.5)
    poly([(0.0, 0.6), (1.8, 0.6), (1.65, 0), (0.15, 0)], (132, 140, 146))
    rect(0.0, 0.52, 1.8, 0.62, (160, 166, 170))


def _bin(rect: Fill, poly: Fill, disc: Fill, c, rng) -> None:
    rect(0.05, 0.0, 0.6, 0.95, c)
    rect(0.05, 0.0, 0.16, 0.95, c, 1.25)
    rect(0.0, 0.9, 0.65, 1.02, c, 0.6)
    rect(0.15, 0.7, 0.5, 0.8, (30, 30, 30))


def _counter(rect: Fill, poly: Fill, disc: Fill, c, rng) -> None:
    rect(0.05, 0, 2.35, 1.0, c)
    for x in (0.8, 1.6):
        rect(x, 0, x + 0.03, 1.0, c, 0.6)
    rect(0, 1.0, 2.4, 1.1, (190, 200, 206))
    rect(0.3, 0.4, 2.1, 0.6, (224, 226, 228))
    rect(1.5, 1.1, 2.0, 1.42, (60, 56, 54))


def _column(rect: Fill, poly: Fill, disc: Fill, c, rng) -> None:
    tone = np.array([172, 180, 184])
    for i in range(14):
        shade = 0.68 + 0.4 * np.sin(np.pi * (i + 2) / 16)
        rect(0.06 + i * 0.05, 0, 0.11 + i * 0.05, 6.0, tone, shade)
    rect(0, 0, 0.82, 0.3, tone, 0.75)


def _sign(rect: Fill, poly: Fill, disc: Fill, c, rng) -> None:
    rect(0.1, 0, 0.16, 0.5, (90, 90, 90))
    rect(0.84, 0, 0.9, 0.5, (90, 90, 90))
    rect(0, 0.35, 1.0, 1.8, c)
    rect(0.08, 0.43, 0.92, 1.72, (222, 224, 226))
    rect(0.08, 1.2, 0.92, 1.72, c, 1.2)
    for y in (0.6, 0.78, 0.96):
        rect(0.16, y, rng.uniform(0.5, 0.84), y + 0.08, (90, 88, 86))


def _bench(rect: Fill, poly: Fill, disc: Fill, c, rng) -> None:
    wood = np.array([58, 92, 132])
    for x in (0.15, 1.7):
        rect(x, 0, x + 0.1, 0.9, (56, 56, 58))
    for y in (0.42, 0.6, 0.76):
        rect(0, y, 1.95, y + 0.12, wood, rng.uniform(0.85, 1.15))
    rect(0, 0.38, 1.95, 0.44, wood, 0.6)


def _kiosk(rect: Fill, poly: Fill, disc: Fill, c, rng) -> None:
    rect(0.1, 0, 1.7, 2.2, c)
    rect(0.25, 0.9, 1.55, 1.7, (226, 226, 222))
    rect(0.3, 1.3, 0.8, 1.65, (90, 140, 200))
    rect(0.9, 0.95, 1.5, 1.5, (120, 80, 170))
    rect(0.1, 0, 0.2, 2.2, c, 1.25)
    poly([(0, 2.2), (1.8, 2.2), (1.5, 2.5), (0.3, 2.5)], c, 0.65)


def _hedge(rect: Fill, poly: Fill, disc: Fill, c, rng) -> None:
    rect(0.1, 0, 3.5, 0.7, (40, 74, 50))
    for _ in range(230):
        y = rng.uniform(0.05, 0.8)
        disc(
            rng.uniform(0.12, 3.48),
            y,
            0.1,
            (46, 104, 70),
            0.6 + 0.5 * y + rng.uniform(-0.1, 0.15),
        )


def _tree(rect: Fill, poly: Fill, disc: Fill, c, rng) -> None:
    poly(
        [
            (0.05, 0),
            (0.2, 0.5),
            (0.2, 4.5),
            (0.6, 4.5),
            (0.58, 0.5),
            (0.75, 0),
        ],
        (46, 66, 86),
    )
    poly([(0.2, 0.5), (0.2, 4.5), (0.32, 4.5), (0.3, 0.5)], (62, 86, 108))


def _table(rect: Fill, poly: Fill, disc: Fill, c, rng) -> None:
    rect(0.72, 0, 0.8, 0.72, (70, 70, 72))
    rect(0.2, 0.7, 1.32, 0.78, (150, 170, 186))
    for x, back in ((0.0, 0.0), (1.3, 0.16)):
        rect(x, 0, x + 0.05, 0.45, (60, 60, 62))
        rect(x + 0.15, 0, x + 0.2, 0.45, (60, 60, 62))
        rect(x, 0.42, x + 0.2, 0.5, c)
        rect(x + back, 0.42, x + back + 0.05, 0.95, c)


def _machine(rect: Fill, poly: Fill, disc: Fill, c, rng) -> None:
    rect(0, 0, 1.0, 1.85, c)
    rect(0, 0, 0.08, 1.85, c, 1.3)
    rect(0.14, 0.6, 0.7, 1.7, (170, 160, 140))
    for y in (0.75, 1.05, 1.35):
        for x in (0.2, 0.36, 0.52):
            tone = PAINTS[rng.integers(len(PAINTS))]
            rect(x, y, x + 0.11, y + 0.22, tone, 1.2)
    rect(0.78, 1.0, 0.92, 1.3, (50, 50, 50))
    rect(0.2, 0.2, 0.8, 0.4, (40, 40, 40))


# Width and height in metres, and how it is painted.
PAINTERS = {
    'car': ((4.25, 1.5), _car),
    'bollards': ((2.8, 1.0), _bollards),
    'lamp': ((0.8, 4.6), _lamp),
    'planter': ((1.8, 1.35), _planter),
    'bin': ((0.65, 1.05), _bin),
    'counter': ((2.4, 1.45), _counter),
    'column': ((0.82, 6.0), _column),
    'sign': ((1.0, 1.85), _sign),
    'bench': ((1.95, 0.95), _bench),
    'kiosk': ((1.8, 2.55), _kiosk),
    'hedge': ((3.6, 0.95), _hedge),
    'tree': ((0.8, 4.5), _tree),
    'table': ((1.6, 1.0), _table),
    'machine': ((1.0, 1.9), _machine),
}
