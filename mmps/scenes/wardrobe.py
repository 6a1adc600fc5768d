"""A person's body parts as surfaces, dressed."""

import numpy as np

from .fabric import paint_pattern, plain_sheet, wrinkle
from .headgear import make_head
from .people import Appearance
from .surface import Surface

__all__ = ['Wardrobe']

_SLEEVE = {'none': 0.0, 'short': 0.62, 'long': 2.0}
_OPEN = {'jacket': 0.5, 'coat': 0.16}
# Rows of (share of the length, half width) of the torso, front view.
_TORSO = (
    (0, 0.03),
    (0.03, 0.06),
    (0.08, 0.105),
    (0.14, 0.116),
    (0.35, 0.106),
    (0.66, 0.09),
    (0.85, 0.098),
    (0.97, 0.1),
    (1, 0.094),
)
_SKIRTS = {
    # waist below the torso's top, hem above the ground (of hip height)
    'skirt': (0.3, 0.55, 0.098, 0.145),
    'long_skirt': (0.3, 0.16, 0.098, 0.15),
    'dress': (0.24, 0.52, 0.094, 0.15),
    'coat': (0.26, 0.5, 0.112, 0.135),
}


class Wardrobe:
    """The surfaces of one person at one resolution.

    Args:
        person: The appearance.
        unit: Pixels of one body height.

    Attributes:
        parts: Name to :class:`Surface`.
    """

    def __init__(self, person: Appearance, unit: int) -> None:
        self.person, self.unit = person, unit
        self._rng = np.random.default_rng(person.texture_seed)
        self._pattern_seed = int(self._rng.integers(2**31))
        self.parts: dict[str, Surface] = {
            'torso': self._torso(),
            **self._arms(),
            **self._legs(),
            **make_head(person, unit),
        }
        for kind in (person.upper, person.lower):
            if kind in _SKIRTS:  # a coat or a dress hides a skirt
                self.parts['skirt'] = self._skirt(kind)
                break

    def _sheet(self, rows, radius, colour, pattern=None, second=None):
        """Return cloth for a part of ``rows`` x ``radius`` body heights."""
        height = max(6, round(rows * self.unit))
        width = max(16, round(2 * np.pi * radius * self.unit))
        sheet = plain_sheet(height, width, colour)
        if pattern:
            # Each garment part restarts the stream: same period everywhere.
            rng = np.random.default_rng(self._pattern_seed)
            paint_pattern(sheet, pattern, second, self.unit, rng)
        return sheet

    def _torso(self) -> Surface:
        p, unit = self.person, self.unit
        main, second, inner = p.upper_colours
        length = 0.375
        sheet = self._sheet(length, 0.105, main, p.upper_pattern, second)
        rows, turn = sheet.shape[:2]
        t = np.abs(np.arange(turn) / turn - 0.5) * 2 * np.pi
        below = np.arange(rows)[:, None] / rows
        if p.upper in _OPEN:
            gap = _OPEN[p.upper] * (0.55 + 0.45 * below)
            sheet[t[None] < gap] = inner
            edge = np.abs(t[None] - gap) < 0.09
            sheet[edge] = (sheet[edge] * 0.6).astype(np.uint8)
        elif p.upper == 'shirt':
            sheet[:, t < 0.07] = np.multiply(main, 0.65)
            sheet[: rows // 8, t < 0.5] = inner
        elif p.upper == 'hoodie':
            hood = np.hypot((t - np.pi) / 1.1, (below - 0.04) / 0.24) < 1
            sheet[hood] = np.multiply(main, 0.68)
            pouch = (t[None] < 0.6) & (np.abs(below - 0.72) < 0.1)
            sheet[pouch] = np.multiply(main, 0.8)
        elif p.upper in ('tee', 'dress', 'vest'):
            neckline = np.hypot(t / 0.75, below / 0.13) < 1
            sheet[neckline] = p.skin
        if p.upper == 'dress':
            sheet[int(0.66 * rows) : int(0.74 * rows)] = second
        elif p.upper not in ('coat', 'hoodie'):
            tuck = rows - max(1, int(rows * 0.05))
            sheet[tuck:] = np.multiply(p.lower_colours[0], 0.6)
        shares, widths = np.array(_TORSO).T
        widths = 1.08 * widths * p.girth**0.75
        widths[5:7] *= p.belly
        widths += 0.007 * (p.upper in ('coat', 'hoodie', 'jacket'))
        profile = np.interp(np.linspace(0, 1, rows), shares, widths) * unit
        depth = 0.82 * p.belly
        return Surface(wrinkle(sheet, self._rng), profile, depth, 0, rows - 1)

    def _tube(self, sheet: np.ndarray, start: float, end: float) -> Surface:
        """Return a limb of half widths start, end with rounded tips."""
        rows = sheet.shape[0]
        start, end = start * self.unit, end * self.unit
        y = np.arange(rows)
        profile = np.interp(y, (0, rows - 1), (start, end))
        near = np.clip(1 - y / max(start, 1), 0, 1)
        far = np.clip(1 - (rows - 1 - y) / max(end, 1), 0, 1)
        profile = profile * np.sqrt(1 - 0.85 * np.maximum(near, far) ** 2)
        return Surface(
            wrinkle(sheet, self._rng),
            profile,
            1.0,
            0.6 * start,
            rows - 1 - 0.6 * end,
            views=8,
        )

    def _limb(self, length, start, end) -> np.ndarray:
        """Return a bare sheet for a limb, tips included."""
        return self._sheet(
            length + 0.6 * (start + end),
            0.5 * (start + end),
            self.person.skin,
        )

    def _arms(self) -> dict[str, Surface]:
        p = self.person
        reach = _SLEEVE['long' if p.upper == 'coat' else p.sleeves]
        wide = 0.006 * (reach > 1) + 0.005 * (p.upper in ('coat', 'hoodie'))
        girth = 1.08 * p.girth**0.8
        parts = {}
        for name, start, end, offset in (
            ('upper_arm', 0.034, 0.028, 0),
            ('forearm', 0.028, 0.022, 1),
        ):
            start, end = start * girth + wide, end * girth + wide
            sheet = self._limb(0.165, start, end)
            cloth = self._sheet(
                sheet.shape[0] / self.unit,
                0.5 * (start + end),
                p.sleeve_colour,
                p.upper_pattern
                if p.sleeve_colour == p.upper_colours[0]
                and p.upper_pattern not in ('print', 'band', 'block', 'sides')
                else None,
                p.upper_colours[1],
            )
            until = int(np.clip((reach - offset) * 1.05, 0, 1) * len(sheet))
            if offset and reach > 1:
                until = int(0.84 * len(sheet))  # the hand
            sheet[:until] = cloth[:until, : sheet.shape[1]]
            if p.upper_pattern == 'sides' and until:
                quarter = sheet.shape[1] // 4
                sheet[:until, quarter - 2 : quarter + 2] = p.upper_colours[1]
            parts[name] = self._tube(sheet, start, end)
        return parts

    def _legs(self) -> dict[str, Surface]:
        p, hip = self.person, self.person.legs
        bare = p.upper == 'dress' or 'skirt' in p.lower
        tights = bare and p.texture_seed % 3 == 0
        girth = 1.12 * p.girth**0.8
        loose = {'wide': 0.016, 'trousers': 0.006, 'shorts': 0.008}.get(
            p.lower, 0
        )
        main, second = p.lower_colours
        cuts = (0.3, 0.0) if bare else (2.0, 2.0)
        if p.lower == 'shorts' and not bare:
            cuts = (0.85, 0.0)
        parts = {}
        for name, start, end, length, cut in (
            ('thigh', 0.056, 0.04, 0.49 * hip, cuts[0]),
            ('calf', 0.041, 0.026, 0.46 * hip, cuts[1]),
        ):
            start, end = start * girth + loose, end * girth + loose
            sheet = self._limb(length, start, end)
            if tights:
                sheet[:] = np.multiply(p.shoes, 0.8)
            cloth = self._sheet(
                sheet.shape[0] / self.unit,
                0.5 * (start + end),
                main,
                None if p.lower_pattern == 'plain' else p.lower_pattern,
                second,
            )
            until = int(np.clip(cut, 0, 1) * len(sheet))
            sheet[:until] = cloth[:until, : sheet.shape[1]]
            if name == 'calf' and p.boots:
                sheet[int(0.45 * len(sheet)) :] = p.shoes
            parts[name] = self._tube(sheet, start, end)
        shoe = self._sheet(0.135, 0.03, p.shoes)
        shoe[:, int(0.38 * shoe.shape[1]) : int(0.62 * shoe.shape[1])] = (
            np.minimum(np.multiply(p.shoes, 1.3) + 14, 255)
        )
        parts['shoe'] = self._tube(shoe, 0.027, 0.023)
        return parts

    def _skirt(self, kind: str) -> Surface:
        p = self.person
        waist, hem, top, bottom = _SKIRTS[kind]
        length = p.legs + 0.335 - waist - hem * p.legs
        worn = kind in ('coat', 'dress')
        colours = p.upper_colours if worn else p.lower_colours
        pattern = p.upper_pattern if worn else p.lower_pattern
        if pattern in ('print', 'block', 'band'):
            pattern = 'plain'
        sheet = self._sheet(
            length, 0.5 * (top + bottom), colours[0], pattern, colours[1]
        )
        rows, turn = sheet.shape[:2]
        t = np.abs(np.arange(turn) / turn - 0.5) * 2 * np.pi
        if kind == 'coat':
            below = np.arange(rows)[:, None] / rows
            gap = np.broadcast_to(0.06 + 0.3 * below, (rows, turn))
            sheet[t[None] < gap] = np.multiply(p.lower_colours[0], 0.6)
        elif worn:
            sheet[int(0.9 * rows) :] = colours[1]
        y = np.linspace(0, 1, rows)
        profile = (
            (top + (bottom - top) * y**0.8) * 1.06 * p.girth**0.75 * self.unit
        )
        # Pleats: light and dark down the cloth.
        folds = 1 + 0.1 * np.sin(t * 9) * np.linspace(0.2, 1, rows)[:, None]
        sheet = np.clip(sheet * folds[..., None], 0, 255).astype(np.uint8)
        return Surface(wrinkle(sheet, self._rng), profile, 0.8, 0, rows - 1)
