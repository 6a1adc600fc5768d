"""Putting a body together from its parts, in the order of depth."""

import cv2
import numpy as np

from .fabric import plain_sheet
from .people import Appearance
from .pose import Pose
from .surface import Surface, paste
from .wardrobe import Wardrobe

__all__ = ['Body']


class Body:
    """Pastes the parts of one body, far ones first.

    Args:
        wardrobe: The dressed parts.
        pose: Posture and view.
        at: Joint to (x, y) in the canvas.
        near: Joint to its distance towards the camera.
        canvas: (h, w, 4) uint8, drawn on.
    """

    def __init__(
        self,
        wardrobe: Wardrobe,
        pose: Pose,
        at: dict[str, np.ndarray],
        near: dict[str, float],
        canvas: np.ndarray,
    ) -> None:
        self.person, self.parts = wardrobe.person, wardrobe.parts
        self.unit, self.pose = wardrobe.unit, pose
        self.at, self.near, self.canvas = at, near, canvas
        self.cos = float(np.cos(pose.yaw))

    def draw(self) -> None:
        """Draw everything."""
        facing = self.cos
        sides = sorted('+-', key=lambda s: self.near['shoulder' + s])
        if facing > -0.2:
            self._pack()
            self._mane(before_torso=True)
        for side in sorted(
            '+-', key=lambda s: self.near['knee' + s] + self.near['hip' + s]
        ):
            self._leg(side)
        turned = abs(facing) < 0.85
        if turned:
            self._arm(sides[0])
        if 'skirt' in self.parts:
            self._skirt()
        self._part('neck', self.at['chin'], self.at['neck'])
        self._torso()
        if facing <= -0.2:
            self._pack()
        self._head()
        if not turned:
            self._arm(sides[0])
        self._arm(sides[1])

    def _part(self, name, start, end, across=1.0, **kwargs) -> None:
        sprite = self.parts[name].view(self.pose.yaw)
        paste(self.canvas, sprite, start, end, across, **kwargs)

    def _torso(self) -> None:
        at = self.at
        self._part('torso', at['neck'], at['crotch'])

    def _skirt(self) -> None:
        at, skirt = self.at, self.parts['skirt']
        length = (skirt.bottom - skirt.top) * np.cos(self.pose.pitch)
        worn = self.person.upper in ('dress', 'coat')
        share = 0.62 if worn else 0.76
        start = at['neck'] + share * (at['crotch'] - at['neck'])
        spread = abs(at['knee+'][0] - at['knee-'][0]) / (
            2 * skirt.profile.max()
        )
        self._part(
            'skirt', start, start + (0, length), 1 + 0.3 * min(spread, 1.0)
        )

    def _leg(self, side: str) -> None:
        at = self.at
        self._part('shoe', at['heel' + side], at['toe' + side], shortest=0.5)
        self._part('thigh', at['hip' + side], at['knee' + side])
        self._part('calf', at['knee' + side], at['ankle' + side])

    def _arm(self, side: str) -> None:
        at = self.at
        self._part('upper_arm', at['shoulder' + side], at['elbow' + side])
        self._part('forearm', at['elbow' + side], at['hand' + side])

    def _head(self) -> None:
        self._mane(before_torso=False)
        crown, chin = self.at['crown'], self.at['chin']
        up = crown - chin
        style, wear = self.person.hair_style, self.person.headwear
        back = np.array([-np.sin(self.pose.yaw) * 0.05, 0]) * self.unit
        if style == 'afro' and wear in ('none', 'cap'):
            self._disc(chin + 0.6 * up + back * 0.3, 0.082, self.person.hair)
        if style == 'bun' and wear in ('none', 'cap'):
            bun = chin + 0.98 * up + back * 0.8
            self._disc(bun, 0.036, self.person.hair)
        top = crown if wear != 'beanie' else crown + 0.06 * up
        self._part('head', top, chin)
        if self.cos <= -0.2:
            self._mane(before_torso=None)
        if wear == 'cap':
            brow = chin + 0.68 * up
            reach = np.array(
                [np.sin(self.pose.yaw) * 0.1, 0.012 + 0.02 * max(self.cos, 0)]
            )
            if self.cos > -0.3:
                self._stroke(brow, brow + reach * self.unit, 0.03)
        elif wear == 'hat':
            brow = chin + 0.66 * up
            for half in (-0.095, 0.095):
                self._stroke(
                    brow, brow + np.array([half, 0]) * self.unit, 0.02
                )

    def _mane(self, before_torso: bool | None) -> None:
        """Draw what hangs from the head: under or over the body."""
        over = self.cos <= -0.2
        if (before_torso is None) != over:
            return
        side = abs(np.sin(self.pose.yaw)) > 0.75
        if not over and before_torso == side:
            return
        crown, chin = self.at['crown'], self.at['chin']
        lean = np.array([-np.sin(self.pose.yaw) * 0.026, 0]) * self.unit
        for name, start in (('mane', 0.95), ('tail', 0.75)):
            if name in self.parts:
                part = self.parts[name]
                shift = lean * (2.2 if name == 'tail' else 1)
                top = chin + start * (crown - chin) + shift
                self._part(name, top, top + (0, part.bottom - part.top))

    def _pack(self) -> None:
        if 'backpack' not in self.person.things:
            return
        if 'pack' not in self.parts:
            self.parts['pack'] = _backpack(self.person, self.unit)
        at = self.at
        shift = np.array([-np.sin(self.pose.yaw) * 0.085, 0.0]) * self.unit
        start = at['neck'] + 0.12 * (at['crotch'] - at['neck']) + shift
        end = at['neck'] + 0.82 * (at['crotch'] - at['neck']) + shift
        self._part('pack', start, end)

    def _disc(self, centre, radius: float, colour) -> None:
        cv2.circle(
            self.canvas,
            _fixed(centre),
            round(radius * self.unit * 16),
            (*map(float, colour), 255),
            -1,
            cv2.LINE_AA,
            4,
        )

    def _stroke(self, start, end, thickness: float) -> None:
        colour = np.multiply(self.person.headwear_colour, 0.8)
        cv2.line(
            self.canvas,
            _fixed(start),
            _fixed(end),
            (*colour, 255),
            max(1, round(thickness * self.unit)),
            cv2.LINE_AA,
            4,
        )


def _fixed(point) -> tuple[int, int]:
    return round(point[0] * 16), round(point[1] * 16)


def _backpack(person: Appearance, unit: int) -> Surface:
    slot = person.things.index('backpack')
    main, second = person.thing_colours[:: 1 if slot == 0 else -1]
    rows = round(0.26 * unit)
    sheet = plain_sheet(rows, round(0.6 * unit), main)
    sheet[int(0.5 * rows) : int(0.85 * rows)] = second
    sheet[int(0.45 * rows) : int(0.5 * rows)] = np.multiply(main, 0.5)
    y = np.linspace(-1, 1, rows)
    profile = 0.088 * unit * (1 - np.abs(y) ** 6 * 0.55)
    return Surface(sheet, profile, 0.62, 0, rows - 1)
