"""Posture: where a person's joints are, seen from a camera."""

from dataclasses import dataclass

import numpy as np

from .people import Appearance

__all__ = ['Pose', 'joints', 'project', 'sample_pose']

# Hand things by how the arm holds them.
_HANGING = ('handbag', 'shopping', 'suitcase', 'briefcase')
_RAISED = ('umbrella', 'balloon')


@dataclass(frozen=True)
class Pose:
    """Posture at one moment.

    Attributes:
        yaw: 0 faces the camera, pi / 2 walks to the right of the picture.
        phase: Phase of the step, radians.
        swing: Amplitude of the legs, radians.
        habit: 'walk', 'stand', 'phone' or 'pockets'.
        pitch: How far the camera looks down, radians.
    """

    yaw: float
    phase: float
    swing: float
    habit: str
    pitch: float


def sample_pose(
    person: Appearance, pitch: float, rng: np.random.Generator
) -> Pose:
    """Return a random posture of a person before a camera of ``pitch``."""
    habit = ('walk', 'stand', 'phone', 'pockets')[
        rng.choice(4, p=(0.62, 0.16, 0.1, 0.12))
    ]
    swing = person.stride * rng.uniform(0.75, 1.15)
    if habit == 'stand' or (habit != 'walk' and rng.random() < 0.4):
        swing = rng.uniform(0.04, 0.2)
    return Pose(
        yaw=float(rng.uniform(0, 2 * np.pi)),
        phase=float(rng.uniform(0, 2 * np.pi)),
        swing=float(swing),
        habit=habit,
        pitch=float(pitch),
    )


def project(points: np.ndarray, pose: Pose) -> np.ndarray:
    """Return points as the camera sees them.

    Args:
        points: (n, 3) in body heights: to the person's left, up, forward.
        pose: The view.

    Returns:
        np.ndarray: (n, 3): right in the picture, up, towards the camera.
    """
    x, y, z = np.asarray(points, float).reshape(-1, 3).T
    right = x * np.cos(pose.yaw) + z * np.sin(pose.yaw)
    near = z * np.cos(pose.yaw) - x * np.sin(pose.yaw)
    up = y * np.cos(pose.pitch) - near * np.sin(pose.pitch)
    return np.stack([right, up, near], axis=1)


def joints(person: Appearance, pose: Pose) -> dict[str, np.ndarray]:
    """Return the joints as the camera sees them.

    Args:
        person: Whose lengths count.
        pose: Posture and view.

    Returns:
        dict[str, np.ndarray]: Name to (right, up, towards the camera), in
        body heights. Limbs have the suffixes ``+`` (left) and ``-``.
    """
    hip = person.legs
    thigh, calf = 0.49 * hip, 0.46 * hip
    body: dict[str, tuple[float, float, float]] = {}
    lows = []
    for side, name in ((1, '+'), (-1, '-')):
        phase = pose.phase + (0 if side > 0 else np.pi)
        angle = pose.swing * np.sin(phase)
        bend = 0.06 + pose.swing * max(0.0, np.cos(phase)) * 1.3
        x = side * 0.05 * person.girth
        knee = (hip - thigh * np.cos(angle), thigh * np.sin(angle))
        ankle = (
            knee[0] - calf * np.cos(angle - bend),
            knee[1] + calf * np.sin(angle - bend),
        )
        tilt = angle - bend
        body['hip' + name] = (x, hip, 0.0)
        body['knee' + name] = (x * 1.05, *knee)
        body['ankle' + name] = (x * 1.1, *ankle)
        body['heel' + name] = (x * 1.1, ankle[0] - 0.028, ankle[1] - 0.02)
        body['toe' + name] = (
            x * 1.3,
            ankle[0] - 0.03 + 0.07 * np.sin(tilt),
            ankle[1] + 0.085 * np.cos(tilt),
        )
        lows.append(ankle[0])
        body.update(_arm(person, pose, side, name, -angle))
    drop = min(lows) - 0.045 * hip / 0.49
    top = hip + 0.335
    body.update(
        neck=(0, top + 0.025, 0.0),
        chin=(0, top + 0.055, 0.012),
        crown=(0, top + 0.19, 0.008),
        waist=(0, hip + 0.08, 0.0),
        crotch=(0, hip - 0.02, 0.0),
    )
    names = list(body)
    points = np.array([body[name] for name in names])
    points[:, 1] -= drop  # the lower foot stands on the ground
    return dict(zip(names, project(points, pose), strict=True))


def _arm(
    person: Appearance, pose: Pose, side: int, name: str, angle: float
) -> dict[str, tuple[float, float, float]]:
    """Return shoulder, elbow and hand of one arm, in body coordinates."""
    swing, bend, out = angle * 1.1, 0.4, 0.22
    thing = person.things[0] if person.things else ''
    holds = side == person.hand
    if pose.habit == 'phone' and side == -person.hand:
        swing, bend = 0.35, 2.2
    elif pose.habit == 'pockets':
        swing, bend, out = -0.25, 0.7, 0.3
    if holds and thing in _HANGING:
        swing, bend = (-0.3, 0.05) if thing == 'suitcase' else (0.05, 0.08)
    elif holds and thing in _RAISED:
        swing, bend = 0.2, 2.0
    elif thing == 'bicycle':
        swing, bend = 0.75, 0.25
    shoulder = np.array(
        [side * 0.109 * person.girth**0.6, person.legs + 0.32, 0.0]
    )
    upper = np.array([side * out, -np.cos(swing), np.sin(swing)])
    lower = np.array(
        [
            -side * out * 0.5 * (bend > 0.6),
            -np.cos(swing + bend),
            np.sin(swing + bend),
        ]
    )
    if thing == 'bicycle' and side != person.hand:
        lower[0] += 0.7 * person.hand  # reaches over to the handlebar
        upper[0] += 0.4 * person.hand
    elbow = shoulder + 0.165 * upper / np.linalg.norm(upper)
    hand = elbow + 0.165 * lower / np.linalg.norm(lower)
    return {
        'shoulder' + name: tuple(shoulder),
        'elbow' + name: tuple(elbow),
        'hand' + name: tuple(hand),
    }
