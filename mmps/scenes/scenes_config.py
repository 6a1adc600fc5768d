"""Settings of the synthetic data set."""

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ['LAYOUTS', 'RENDERER_VERSION', 'ScenesConfig']

LAYOUTS = ('prw', 'cuhk')
# Part of every tree's scenes.json: raised when the pictures change, so that
# a tree of an older renderer is not taken for a current one.
RENDERER_VERSION = 3


@dataclass(frozen=True)
class ScenesConfig:
    """What to render. Everything on disk follows from these values.

    Attributes:
        train_frames: Training frames. Defaults to 500.
        test_frames: Test frames. Defaults to 250.
        train_ids: Labelled people of the training frames. Defaults to 100.
        test_ids: Labelled people of the test frames, none of whom is in
            the training frames. Defaults to 40.
        cameras: Number of cameras, 1..9. Defaults to 6.
        size: Frame width and height in pixels. Defaults to (480, 270).
        people: Mean number of people put into a frame. Defaults to 3.7.
        heights: Least and greatest height of an average body, as shares
            of the frame's; between them heights follow PRW's. Defaults to
            (0.0, 1.0), all of PRW's: 0.063 to 0.59, some of them so near
            that the frame cuts them.
        occlusion_rate: Share of people placed so that furniture or a
            nearer person covers a part of them. Not everybody has
            something to be behind: more than 0.45 is rarely reached.
            Defaults to 0.3.
        accessory_rate: Share of people who carry something (bag,
            suitcase, umbrella, bicycle, ...). Defaults to 0.45.
        colour_shift: Strength of the differences in colour between
            cameras, 0 for none. Defaults to 1.0.
        unlabelled_rate: Share of people who are bystanders without an
            id. Defaults to 0.18.
        seed: Equal seeds give equal bytes. Defaults to 0.
        train_cameras: Cameras of the training frames, numbered from 1.
            Defaults to None, all.
        test_cameras: Cameras of the test frames. Defaults to None, all.
        layout: Form on disk, 'prw' or 'cuhk'. Defaults to 'prw'.

    Raises:
        ValueError: A value is out of range, or values do not fit together.
        TypeError: A value is of the wrong kind.
    """

    train_frames: int = 500
    test_frames: int = 250
    train_ids: int = 100
    test_ids: int = 40
    cameras: int = 6
    size: tuple[int, int] = (480, 270)
    people: float = 3.7
    heights: tuple[float, float] = (0.0, 1.0)
    occlusion_rate: float = 0.3
    accessory_rate: float = 0.45
    colour_shift: float = 1.0
    unlabelled_rate: float = 0.18
    seed: int = 0
    train_cameras: tuple[int, ...] | None = None
    test_cameras: tuple[int, ...] | None = None
    layout: str = 'prw'

    def __post_init__(self) -> None:
        for name, low, high in (
            ('train_frames', 1, 100_000),
            ('test_frames', 2, 100_000),
            ('train_ids', 1, 10_000),
            ('test_ids', 1, 10_000),
            ('cameras', 1, 9),
            ('seed', 0, 2**31),
        ):
            _check_int(name, getattr(self, name), low, high)
        for name, low, high in (
            ('people', 1.0, 12.0),
            ('occlusion_rate', 0.0, 0.8),
            ('accessory_rate', 0.0, 1.0),
            ('colour_shift', 0.0, 3.0),
            ('unlabelled_rate', 0.0, 0.9),
        ):
            _check_float(name, getattr(self, name), low, high)
        self._check_size()
        self._check_heights()
        self._check_cameras('train_cameras')
        self._check_cameras('test_cameras')
        if self.layout not in LAYOUTS:
            raise ValueError(
                f'layout: expected one of {LAYOUTS}, got {self.layout!r}'
            )
        if self.layout == 'cuhk' and self.test_frames < 51:
            raise ValueError(
                'test_frames: layout cuhk needs at least 51, the smallest '
                "gallery has 50 frames beside the query's own, got "
                f'{self.test_frames}'
            )

    def cameras_of(self, split: str) -> tuple[int, ...]:
        """Return the camera numbers of ``split`` ('train' or 'test')."""
        chosen = getattr(self, f'{split}_cameras')
        return chosen or tuple(range(1, self.cameras + 1))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON can hold them."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> 'ScenesConfig':
        """Return the settings that :meth:`to_dict` wrote.

        Raises:
            ValueError: A key is unknown, or a value is invalid.
        """
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            raise ValueError(f'unknown options: {", ".join(unknown)}')
        return cls(
            **{
                k: tuple(v) if isinstance(v, list) else v
                for k, v in values.items()
            }
        )

    def _check_size(self) -> None:
        size = self.size
        if not isinstance(size, tuple) or len(size) != 2:
            raise TypeError(f'size: expected (width, height), got {size!r}')
        _check_int('size (width)', size[0], 96, 3840)
        _check_int('size (height)', size[1], 64, 2160)
        if not 0.75 <= size[0] / size[1] <= 3:
            raise ValueError(
                'size: expected a width of 0.75 to 3 times the height, got '
                f'{size[0]} x {size[1]}'
            )

    def _check_heights(self) -> None:
        heights = self.heights
        if not isinstance(heights, tuple) or len(heights) != 2:
            raise TypeError(f'heights: expected (low, high), got {heights!r}')
        _check_float('heights (low)', heights[0], 0.0, 0.4)
        _check_float('heights (high)', heights[1], 0.1, 1.0)
        if heights[0] >= heights[1]:
            raise ValueError(
                f'heights: expected low below high, got {heights}'
            )

    def _check_cameras(self, name: str) -> None:
        chosen = getattr(self, name)
        if chosen is None:
            return
        if not isinstance(chosen, tuple) or not chosen:
            raise TypeError(
                f'{name}: expected a tuple of camera numbers, got {chosen!r}'
            )
        for camera in chosen:
            _check_int(name, camera, 1, self.cameras)
        if len(set(chosen)) != len(chosen):
            raise ValueError(f'{name}: a camera is listed twice: {chosen}')


def _check_int(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f'{name}: expected an integer, got {value!r}')
    if not low <= value <= high:
        raise ValueError(f'{name}: expected {low} to {high}, got {value}')


def _check_float(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f'{name}: expected a number, got {value!r}')
    if not low <= value <= high:  # also catches nan
        raise ValueError(f'{name}: expected {low} to {high}, got {value}')
