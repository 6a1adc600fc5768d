"""Heads: face, hair and what is worn on them."""

import numpy as np

from .fabric import plain_sheet, wrinkle
from .people import Appearance
from .surface import Surface

__all__ = ['make_head']

# Half widths of the head from crown to chin, of its greatest one.
_OUTLINE = (
    (0, 0.3),
    (0.07, 0.66),
    (0.2, 0.93),
    (0.4, 1.0),
    (0.62, 0.94),
    (0.8, 0.76),
    (0.93, 0.5),
    (1, 0.25),
)


def make_head(person: Appearance, unit: int) -> dict[str, Surface]:
    """Return head, neck and whatever hangs or sits around the head.

    Args:
        person: The appearance.
        unit: Pixels of one body height.

    Returns:
        dict[str, Surface]: 'head' and 'neck', and where worn 'mane' (hair
        or cloth down the back), 'tail' (pony tail).
    """
    rng = np.random.default_rng(person.texture_seed + 1)
    rows, turn = max(8, round(0.135 * unit)), max(20, round(0.33 * unit))
    sheet = plain_sheet(rows, turn, person.skin)
    y = np.arange(rows)[:, None] / rows
    t = np.abs(np.arange(turn) / turn - 0.5)[None] * 2 * np.pi
    _paint_face(sheet, person, y, t)
    _paint_hair(sheet, person, y, t)
    _paint_headwear(sheet, person, y, t)
    shares, widths = np.array(_OUTLINE).T
    bulk = 0.052 + 0.006 * (person.headwear in ('beanie', 'veil', 'hood'))
    bulk += 0.004 * (person.hair_style not in ('bald', 'short'))
    profile = np.interp(np.linspace(0, 1, rows), shares, widths) * bulk * unit
    neck = plain_sheet(
        max(4, round(0.08 * unit)), turn, np.multiply(person.skin, 0.8)
    )
    if person.scarf:
        neck = plain_sheet(*neck.shape[:2], person.thing_colours[1])
    thick = 0.046 if person.scarf else 0.029
    parts = {
        'head': Surface(wrinkle(sheet, rng, 0.03), profile, 1.12, 0, rows - 1),
        'neck': Surface(
            neck, np.full(len(neck), thick * unit), 0.95, 0, len(neck) - 1
        ),
    }
    mane = {'bob': (0.13, 0.062), 'long': (0.24, 0.066)}.get(person.hair_style)
    colour = person.hair
    if person.headwear in ('veil', 'hood'):
        mane, colour = (0.19, 0.08), person.headwear_colour
        if person.headwear == 'hood':
            mane, colour = (0.16, 0.074), person.upper_colours[0]
    if mane:
        parts['mane'] = _drape(mane[0], mane[1], colour, unit, rng)
    elif person.hair_style == 'pony' and person.headwear != 'hat':
        parts['tail'] = _drape(0.17, 0.022, person.hair, unit, rng)
    return parts


def _drape(length, half, colour, unit, rng) -> Surface:
    rows = max(6, round(length * unit))
    sheet = plain_sheet(rows, max(16, round(6 * half * unit)), colour)
    strands = 1 + 0.12 * np.sin(np.arange(sheet.shape[1]) * 1.9)
    sheet = np.clip(sheet * strands[:, None], 0, 255).astype(np.uint8)
    y = np.linspace(0, 1, rows)
    profile = half * unit * np.clip(np.sqrt(y * length * 13) + 0.12, 0, 1)
    profile = profile * np.clip(np.sqrt((1.02 - y) * 7), 0, 1)
    return Surface(wrinkle(sheet, rng), profile, 0.8, 0, rows - 1)


def _paint_face(sheet, person: Appearance, y, t) -> None:
    dark = np.multiply(person.skin, 0.25)
    sheet[(np.abs(y - 0.5) < 0.045) & (np.abs(t - 0.42) < 0.15)] = dark
    sheet[(np.abs(y - 0.41) < 0.03) & (np.abs(t - 0.42) < 0.22)] = np.multiply(
        person.hair, 0.8
    )
    sheet[(np.abs(y - 0.63) < 0.06) & (t < 0.1)] = np.multiply(
        person.skin, 0.82
    )
    if person.beard:
        jaw = 0.66 - 0.1 * np.clip(t - 0.6, 0, 1)
        sheet[(y > jaw) & (t < 1.5)] = np.multiply(person.hair, 0.9)
    sheet[(np.abs(y - 0.78) < 0.035) & (t < 0.26)] = np.multiply(
        person.skin, (0.6, 0.55, 0.8)
    )
    if person.glasses:
        rim = (np.abs(y - 0.5) < 0.085) & (np.abs(t - 0.42) < 0.27)
        sheet[rim] = (42, 36, 34)
        sheet[(np.abs(y - 0.47) < 0.02) & (t < 1.5)] = (42, 36, 34)
    ear = np.hypot((y - 0.54) / 0.11, (t - 1.62) / 0.16) < 1
    sheet[ear] = np.multiply(person.skin, 0.8)


def _paint_hair(sheet, person: Appearance, y, t) -> None:
    if person.hair_style == 'bald':
        return
    line = {
        'short': (0.2, 0.26, 0.48, 0.8),
        'afro': (0.24, 0.3, 0.62, 0.9),
        'bob': (0.24, 0.34, 0.95, 1.0),
        'long': (0.2, 0.32, 0.95, 1.0),
    }
    front, temple, side, back = line.get(
        person.hair_style, (0.17, 0.24, 0.44, 0.78)
    )
    limit = np.interp(
        t[0], (0, 0.75, 1.35, np.pi), (front, temple, side, back)
    )
    sheet[y < limit[None]] = person.hair


def _paint_headwear(sheet, person: Appearance, y, t) -> None:
    colour = person.headwear_colour
    if person.headwear in ('cap', 'hat'):
        sheet[np.broadcast_to(y < 0.32, sheet.shape[:2])] = colour
        if person.headwear == 'hat':
            band = np.broadcast_to(np.abs(y - 0.27) < 0.05, sheet.shape[:2])
            sheet[band] = np.multiply(colour, 0.5)
    elif person.headwear == 'beanie':
        sheet[np.broadcast_to(y < 0.4, sheet.shape[:2])] = colour
        fold = np.broadcast_to(np.abs(y - 0.36) < 0.05, sheet.shape[:2])
        sheet[fold] = np.multiply(colour, 0.72)
    elif person.headwear in ('veil', 'hood'):
        if person.headwear == 'hood':
            colour = person.upper_colours[0]
        face = np.hypot(t / 0.85, (y - 0.58) / 0.42) < 1
        sheet[~face] = colour
