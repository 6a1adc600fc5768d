"""Looks of the people: body, clothes, hair and carried things."""

from dataclasses import dataclass

import numpy as np

from .scenes_config import ScenesConfig

__all__ = ['HAND_THINGS', 'Appearance', 'sample_person']

# Frequency and BGR of the colours of clothes.
CLOTHES = {
    'black': (11, (34, 32, 32)),
    'charcoal': (6, (78, 72, 70)),
    'grey': (7, (138, 134, 132)),
    'white': (10, (230, 232, 232)),
    'navy': (8, (92, 46, 30)),
    'blue': (9, (184, 104, 44)),
    'sky': (5, (222, 184, 124)),
    'red': (8, (44, 38, 186)),
    'wine': (4, (50, 30, 104)),
    'green': (6, (70, 124, 46)),
    'olive': (4, (54, 92, 98)),
    'mint': (3, (174, 208, 138)),
    'beige': (6, (146, 186, 210)),
    'brown': (5, (48, 74, 112)),
    'yellow': (6, (50, 190, 232)),
    'orange': (5, (38, 116, 228)),
    'pink': (5, (172, 140, 226)),
    'purple': (4, (134, 56, 106)),
    'teal': (4, (136, 122, 30)),
}
_DYES = np.array([colour for _, colour in CLOTHES.values()], float)
_DYE_SHARES = np.cumsum([weight for weight, _ in CLOTHES.values()])
_DYE_SHARES = _DYE_SHARES / _DYE_SHARES[-1]
SKINS = (
    (176, 204, 240),
    (146, 182, 226),
    (112, 152, 204),
    (84, 120, 172),
    (58, 84, 128),
    (44, 60, 92),
)
HAIRS = (
    (26, 26, 30),
    (34, 40, 54),
    (42, 62, 94),
    (64, 98, 146),
    (104, 166, 208),
    (44, 66, 150),
    (150, 150, 152),
    (206, 208, 212),
)
HAIR_WEIGHTS = (0.24, 0.2, 0.18, 0.12, 0.11, 0.05, 0.06, 0.04)
PATTERNS = (
    'plain',
    'stripes',
    'bars',
    'checks',
    'dots',
    'print',
    'band',
    'block',
    'sides',
    'flowers',
)
PATTERN_WEIGHTS = (0.3, 0.12, 0.07, 0.12, 0.05, 0.12, 0.07, 0.07, 0.04, 0.04)
HAND_THINGS = (
    'handbag',
    'shopping',
    'suitcase',
    'umbrella',
    'bicycle',
    'briefcase',
    'balloon',
)
THINGS = (*HAND_THINGS, 'backpack', 'satchel')
THING_WEIGHTS = (0.12, 0.12, 0.11, 0.11, 0.13, 0.06, 0.03, 0.2, 0.12)


@dataclass(frozen=True)
class Appearance:
    """One person's lasting appearance; colours are BGR triples, 0..255.

    Lengths are fractions of the body height.
    """

    stature: float  # factor on the height that the ground gives
    girth: float  # factor on all widths
    belly: float
    legs: float  # hip height
    stride: float  # swing of the legs, radians
    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    hair_style: str
    headwear: str
    headwear_colour: tuple[int, int, int]
    beard: bool
    glasses: bool
    upper: str
    upper_pattern: str
    upper_colours: tuple[tuple[int, int, int], ...]  # main, second, inner
    sleeves: str
    sleeve_colour: tuple[int, int, int]
    lower: str
    lower_pattern: str
    lower_colours: tuple[tuple[int, int, int], ...]  # main, second
    shoes: tuple[int, int, int]
    boots: bool
    scarf: bool
    things: tuple[str, ...]
    thing_colours: tuple[tuple[int, int, int], ...]
    hand: int  # +1 left, -1 right
    texture_seed: int


def _pick(rng: np.random.Generator, names, weights) -> str:
    weights = np.asarray(weights, float)
    return names[rng.choice(len(names), p=weights / weights.sum())]


def _dye(rng: np.random.Generator) -> tuple[int, int, int]:
    shade = _DYES[np.searchsorted(_DYE_SHARES, rng.random())]
    return _colour(shade * rng.uniform(0.85, 1.12) + rng.normal(0, 5, 3))


def _colour(values) -> tuple[int, int, int]:
    return tuple(int(v) for v in np.clip(values, 12, 240))


def _contrast(rng: np.random.Generator, base) -> tuple[int, int, int]:
    """Return a colour that can be told from ``base`` on one garment."""
    for _ in range(20):
        colour = _dye(rng)
        if np.abs(np.subtract(colour, base)).sum() > 150:
            return colour
    return _colour(255 - np.array(base))


def sample_person(config: ScenesConfig, group: str, index: int) -> Appearance:
    """Return a person, always the same for the same arguments.

    People come in families of four that share the colours of their
    clothes but not cut, pattern, hair, build or what they carry, so that
    colour alone does not tell everybody apart.

    Args:
        config: Of which only ``seed`` and ``accessory_rate`` count.
        group: 'train', 'test' or 'bystander'; no one is in two.
        index: Number within the group.

    Returns:
        Appearance: How the person looks.
    """
    tag = {'train': 11, 'test': 12, 'bystander': 13}[group]
    rng = np.random.default_rng((config.seed, tag, 0, index))
    kin = np.random.default_rng((config.seed, tag, 1, index // 4))
    upper, lower, second = _dye(kin), _dye(kin), _dye(kin)
    if rng.random() < 0.75:
        upper, lower = _dye(rng), _dye(rng)
    second = _contrast(rng, upper) if rng.random() < 0.6 else second
    if np.abs(np.subtract(second, upper)).sum() < 90:
        second = _contrast(rng, upper)

    slim = rng.random() < 0.5
    skirts = rng.random() < 0.45
    kinds = {
        'tee': 5,
        'shirt': 4,
        'jacket': 5,
        'hoodie': 3,
        'coat': 4,
        'vest': 2,
        'dress': 4 * skirts,
    }
    kind = _pick(rng, list(kinds), list(kinds.values()))
    lowers = {
        'trousers': 9,
        'shorts': 3,
        'slim': 3,
        'skirt': 4 * skirts,
        'long_skirt': 2 * skirts,
        'wide': 2,
    }
    sleeves = {'tee': 'short', 'vest': 'short', 'dress': 'short'}
    sleeve = sleeves.get(kind, 'long')
    if kind in ('tee', 'dress', 'shirt') and rng.random() < 0.3:
        sleeve = 'long' if sleeve == 'short' else 'short'
    if kind in ('dress', 'vest') and rng.random() < 0.3:
        sleeve = 'none'
    styles = ('bald', 'short', 'short', 'bob', 'long', 'pony', 'bun', 'afro')
    weights = ((1, 4, 4, 1, 0.5, 0.3, 0.2, 0.8), (0.1, 1, 1, 3, 4, 3, 2, 1))
    style = _pick(rng, styles, weights[int(skirts)])
    headwear = _pick(
        rng,
        ('none', 'cap', 'beanie', 'hat', 'veil', 'hood'),
        (0.66, 0.1, 0.09, 0.06, 0.04, 0.05),
    )
    things = ()
    if rng.random() < config.accessory_rate:
        things = (_pick(rng, THINGS, THING_WEIGHTS),)
        if things[0] not in ('backpack', 'satchel') and rng.random() < 0.2:
            things += (('backpack', 'satchel')[rng.integers(2)],)
    pattern_l = _pick(
        rng,
        ('plain', 'sides', 'checks', 'bars', 'flowers'),
        (0.74, 0.1, 0.07, 0.04, 0.05 + 0.15 * (kind == 'dress')),
    )
    sleeve_colour = upper
    if kind == 'vest' or (kind != 'coat' and rng.random() < 0.17):
        sleeve_colour = second
    skin = np.array(
        SKINS[rng.choice(6, p=(0.3, 0.27, 0.17, 0.11, 0.09, 0.06))]
    )
    hair = np.array(HAIRS[rng.choice(8, p=HAIR_WEIGHTS)])
    return Appearance(
        stature=float(
            np.clip(rng.normal(0.97 if skirts else 1.02, 0.045), 0.84, 1.12)
        ),
        girth=float(
            rng.uniform(0.9, 1.02) if slim else rng.uniform(1.0, 1.28)
        ),
        belly=float(
            rng.uniform(0.85, 1.0) if slim else rng.uniform(0.95, 1.2)
        ),
        legs=float(rng.uniform(0.465, 0.505)),
        stride=float(rng.uniform(0.3, 0.52)),
        skin=_colour(skin * rng.uniform(0.93, 1.05)),
        hair=_colour(hair * rng.uniform(0.85, 1.15)),
        hair_style=style,
        headwear=headwear,
        headwear_colour=_dye(rng),
        beard=bool(not skirts and rng.random() < 0.3),
        glasses=bool(rng.random() < 0.25),
        upper=kind,
        upper_pattern=_pick(rng, PATTERNS, PATTERN_WEIGHTS),
        upper_colours=(upper, second, _contrast(rng, upper)),
        sleeves=sleeve,
        sleeve_colour=sleeve_colour,
        lower=_pick(rng, list(lowers), list(lowers.values())),
        lower_pattern=pattern_l,
        lower_colours=(lower, _contrast(rng, lower)),
        shoes=_dye(rng),
        boots=bool(rng.random() < 0.2),
        scarf=bool(rng.random() < 0.12),
        things=things,
        thing_colours=(_dye(rng), _dye(rng)),
        hand=int(rng.choice((-1, 1))),
        texture_seed=int(rng.integers(2**31)),
    )
