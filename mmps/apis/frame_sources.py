"""Pictures, folders, videos and data sets as frames of a gallery.

Pictures are turned as their EXIF entry says, and boxes refer to the turned
picture: what people see is what is searched.
"""

import glob
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from mmps.datasets import PersonSearchDataset
from mmps.datasets.errors import BadImageError
from mmps.datasets.transforms import LoadFrame
from mmps.gallery import Frame
from mmps.utils.errors import UsageError

PICTURES = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff')
VIDEOS = ('.mp4', '.avi', '.mkv', '.mov', '.m4v', '.mpg', '.mpeg', '.webm',
          '.ts', '.wmv', '.flv')  # fmt: skip
LISTS = ('.txt', '.lst')

Inputs = str | os.PathLike | PersonSearchDataset
_loader = LoadFrame(exif_orientation=True)


class _BadNameError(UsageError):
    """A file's name is not valid Unicode."""


@dataclass(frozen=True)
class InputOptions:
    """How inputs become frames.

    Args:
        camera: Name of the camera of all inputs. Defaults to '', unknown.
        camera_regex: Takes the camera from a frame's name, which is its
            path: the first group, or all that matches, of this pattern.
            Defaults to None.
        root: Folder that names and sources are relative to, so that the
            gallery can be moved with its pictures. Defaults to None, which
            keeps absolute paths.
        video_fps: Frames of a video to look at per second; None for all.
            Defaults to 2.
        start_time: Time of a video's first frame in seconds. Defaults to 0.
        file_times: Time of a picture is that of its file's last change.
            Defaults to False, unknown.

    Raises:
        UsageError: The pattern is not valid, or a number out of range.
    """

    camera: str = ''
    camera_regex: str | None = None
    root: str | os.PathLike | None = None
    video_fps: float | None = 2.0
    start_time: float = 0.0
    file_times: bool = False

    def __post_init__(self) -> None:
        try:
            re.compile(self.camera_regex or '')
        except re.error as err:
            raise UsageError(
                f'camera_regex {self.camera_regex!r}: {err}'
            ) from err
        if self.video_fps is not None and not self.video_fps > 0:
            raise UsageError(
                f'video_fps: expected more than 0, got {self.video_fps}'
            )

    def with_root(self, root: str) -> 'InputOptions':
        """The options for a gallery that has a root, or none ('').

        Raises:
            UsageError: Another root was asked for: names of both would mix.
        """
        wanted = '' if self.root is None else os.path.abspath(self.root)
        if wanted and wanted != root:
            raise UsageError(
                f'root {wanted}: names in this gallery are '
                f'{f"relative to {root}" if root else "absolute"}'
            )
        return replace(self, root=root or None)

    def name_of(self, path: str) -> str:
        """Name of a file in the gallery.

        Raises:
            UsageError: The file is not below the root, or its name is not
                valid Unicode.
        """
        path = os.path.abspath(path)
        try:
            path.encode()
        except UnicodeEncodeError as err:
            raise _BadNameError(f'{path!r}: the name is not UTF-8') from err
        if self.root is None:
            return Path(path).as_posix()
        root = os.path.abspath(self.root)
        if os.path.commonpath([root, path]) != root:
            raise UsageError(f'{path}: is not below the root {root}')
        return Path(os.path.relpath(path, root)).as_posix()

    def camera_of(self, name: str) -> str:
        """Camera of a file, '' where it is not known."""
        if self.camera_regex is not None:
            match = re.search(self.camera_regex, name)
            if match:
                return (match[1] if match.re.groups else match[0]) or ''
        return self.camera


@dataclass(frozen=True)
class Picture:
    """One picture to be indexed.

    Args:
        frame: Without its size.
        path: The file.
        error: Why it cannot be used, if that is known already. Defaults to
            ''.
    """

    frame: Frame
    path: str
    error: str = ''


@dataclass(frozen=True)
class Video:
    """One video to be indexed.

    Args:
        name: In the gallery.
        path: The file.
        camera: Of all frames.
        fps: Frames to look at per second, None for all.
        start_time: Of the first frame.
        num_frames: That will be looked at, roughly.
        num_bytes: Size of the file, by which a changed one is known.
    """

    name: str
    path: str
    camera: str
    fps: float | None
    start_time: float
    num_frames: int
    num_bytes: int

    def frame(self, index: int, seconds: float, size: tuple) -> Frame:
        """The gallery's frame of one picture of the video."""
        return Frame(
            name=f'{self.name}#{index:06d}',
            # A temporal fragment (W3C Media Fragments): numbers of frames
            # lead astray where their distance varies.
            source=f'{self.name}#t={seconds:.6f}',
            index=index,
            camera=self.camera,
            time=self.start_time + seconds,
            width=size[0],
            height=size[1],
        )


def expand_inputs(
    inputs: Inputs | Sequence[Inputs], options: InputOptions | None = None
) -> list[Picture | Video]:
    """Find all pictures and videos that inputs stand for.

    Args:
        inputs: Pictures, videos, folders (with all below), patterns such as
            ``cam1/*.jpg``, text files with a path per line (relative to the
            file), or data sets; one or several.
        options: Names, cameras and times.

    Returns:
        In the order of the inputs, folders sorted by path; each file once.

    Raises:
        UsageError: An input does not exist, holds nothing, or is a file of
            an unknown kind; or a video cannot be opened.
    """
    options = options or InputOptions()
    if isinstance(inputs, (str, os.PathLike, PersonSearchDataset)):
        inputs = [inputs]
    found: dict[str, Picture | Video] = {}
    for one in inputs:
        if isinstance(one, PersonSearchDataset):
            items = _dataset_frames(one, options)
        else:
            items = _files(os.fspath(one), options)
        for item in items:
            name = item.name if isinstance(item, Video) else item.frame.name
            found.setdefault(name, item)
    return list(found.values())


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """Load a picture, turned as its EXIF entry says.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        BadImageError: It is missing, truncated, too large or no picture.
    """
    return _loader.transform(dict(img_path=os.fspath(path)))['img']


def read_video(
    video: Video, wanted: Callable[[Frame], bool] = lambda frame: True
) -> Iterator[tuple[Frame, np.ndarray | None]]:
    """Decode the frames of a video that are to be looked at.

    Args:
        video: The video.
        wanted: Whether a frame's pixels are needed; its size is not known
            yet.

    Yields:
        Frame and (H, W, 3) uint8 BGR, None for one that is not wanted.

    Raises:
        BadImageError: The video cannot be opened, or has no frame.
    """
    capture = _open_video(video.path)
    index, due = -1, 0
    try:
        while capture.grab():
            index += 1
            seconds = _seconds(capture, index)
            # The first frame at or after each point in time.
            if video.fps is not None and seconds * video.fps < due - 1e-6:
                continue
            if video.fps is not None:
                due = int(seconds * video.fps + 1e-6) + 1
            frame = video.frame(index, seconds, _size(capture))
            image = None
            if wanted(frame):
                image = capture.retrieve()[1]
                if image is None:
                    continue
                height, width = image.shape[:2]
                frame = frame._replace(width=width, height=height)
            yield frame, image
    finally:
        capture.release()
    if index < 0:
        raise BadImageError(f'{video.path}: a video without frames')


def read_frame(frame: Frame, root: str = '') -> np.ndarray:
    """Load the pixels of a gallery's frame again.

    Args:
        frame: From a gallery.
        root: The gallery's root, '' for none.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        BadImageError: The source is missing, broken, or was never a file.
    """
    if not frame.source:
        raise BadImageError(f'{frame.name}: its picture was not kept')
    path = os.path.join(root, frame.source)
    if frame.index < 0:
        return read_picture(path)
    path, _, seconds = path.rpartition('#t=')
    image = _read_at(path, frame.index, float(seconds))
    if image is None:
        raise BadImageError(f'{path}: has no frame {frame.index}')
    return image


def _read_at(path: str, index: int, seconds: float) -> np.ndarray | None:
    """One frame of a video, by its number and checked by its time."""
    capture = _open_video(path)
    try:
        capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        if capture.grab() and _is_at(capture, index, seconds):
            return capture.retrieve()[1]
    finally:
        capture.release()
    # The distance of frames varies: only counting finds the right one.
    capture = _open_video(path)
    try:
        if all(capture.grab() for _ in range(index + 1)):
            return capture.retrieve()[1]
    finally:
        capture.release()
    return None


def _is_at(capture: cv2.VideoCapture, index: int, seconds: float) -> bool:
    return abs(_seconds(capture, index) - seconds) < 1e-3


def _files(path: str, options: InputOptions) -> Iterable[Picture | Video]:
    if os.path.isdir(path):
        items = [
            item
            for file in sorted(_walk(path))
            if (item := _file(file, options)) is not None
        ]
        if not items:
            raise UsageError(f'{path}: no picture or video in this folder')
        return items
    if os.path.isfile(path):
        if path.lower().endswith(LISTS):
            return _listed(path, options)
        item = _file(path, options, explicit=True)
        if item is None:
            raise UsageError(
                f'{path}: expected a picture, a video, a folder or a .txt list'
            )
        return [item]
    files = sorted(glob.glob(path, recursive=True))
    if files in ([], [path]):  # a link that leads nowhere matches itself
        raise UsageError(f'{path}: does not exist')
    found: list[Picture | Video] = []
    for file in files:
        if os.path.isdir(file):
            found += _files(file, options)
        elif (item := _file(file, options)) is not None:
            found.append(item)
    if not found:
        raise UsageError(f'{path}: no picture or video')
    return found


def _walk(folder: str) -> Iterator[str]:
    for base, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith('.')]
        for name in files:
            if not name.startswith('.'):
                yield os.path.join(base, name)


def _file(
    path: str, options: InputOptions, explicit: bool = False
) -> Picture | Video | None:
    """A picture or video; None for other files.

    One that is named has to be readable; one that was found is reported
    later if it is not.
    """
    kind = os.path.splitext(path)[1].lower()
    if kind not in (*PICTURES, *VIDEOS):
        return None
    try:
        name = options.name_of(path)
    except _BadNameError as err:
        if explicit:
            raise
        return Picture(Frame(ascii(path)), path, str(err))
    # A link that was found may lead nowhere.
    stat = os.stat(path) if os.path.isfile(path) else None
    if kind in PICTURES:
        time = stat.st_mtime if options.file_times and stat else math.nan
        camera = options.camera_of(name)
        if explicit:
            _check_picture(path)
        frame = Frame(name, source=name, camera=camera, time=time)
        return Picture(frame, path)
    count = 1
    try:
        capture = _open_video(path)
    except BadImageError as err:
        if explicit:
            raise UsageError(str(err)) from err
    else:
        rate = capture.get(cv2.CAP_PROP_FPS)
        count = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        capture.release()
        if options.video_fps is not None and rate > options.video_fps:
            count = int(count * options.video_fps / rate) + 1
    return Video(
        name=name,
        path=path,
        camera=options.camera_of(name),
        fps=options.video_fps,
        start_time=options.start_time,
        num_frames=count,
        num_bytes=stat.st_size if stat else 0,
    )


def _check_picture(path: str) -> None:
    try:
        read_picture(path)
    except BadImageError as err:
        reason = str(err).removeprefix(f'{path}: ')
        raise UsageError(
            f'{path}: cannot be read as a picture: {reason}'
        ) from err


def _listed(path: str, options: InputOptions) -> list[Picture | Video]:
    folder = os.path.dirname(path)
    try:
        # Editors may put a byte-order mark first.
        with open(path, encoding='utf-8-sig') as file:
            lines = [line.strip() for line in file]
    except UnicodeDecodeError as err:
        raise UsageError(f'{path}: expected UTF-8 text ({err})') from err
    items: list[Picture | Video] = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        file = os.path.join(folder, line)
        item = _file(file, options) if os.path.isfile(file) else None
        if item is None:
            raise UsageError(
                f'{path}, line {number}: {line}: no picture or video'
            )
        items.append(item)
    if not items:
        raise UsageError(f'{path}: an empty list')
    return items


def _dataset_frames(
    dataset: PersonSearchDataset, options: InputOptions
) -> Iterator[Picture]:
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        name = options.name_of(info['img_path'])
        camera, time = info.get('camera_id'), info.get('timestamp')
        known = camera is not None and camera >= 0
        yield Picture(
            Frame(
                name=name,
                source=name,
                camera=str(camera) if known else options.camera_of(name),
                time=float('nan') if time is None else float(time),
            ),
            info['img_path'],
        )


def _open_video(path: str) -> cv2.VideoCapture:
    if not os.path.isfile(path):
        raise BadImageError(f'{path}: no such video')
    capture = cv2.VideoCapture(path)
    if not capture.isOpened():
        raise BadImageError(f'{path}: cannot be read as a video')
    return capture


def _seconds(capture: cv2.VideoCapture, index: int) -> float:
    """Time of the frame that was just grabbed, from the video's start."""
    seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
    if seconds > 0 or index == 0:
        return max(seconds, 0.0)
    rate = capture.get(cv2.CAP_PROP_FPS)  # a stream without time stamps
    return index / rate if rate > 0 else float(index)


def _size(capture: cv2.VideoCapture) -> tuple[int, int]:
    width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    return width, int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
