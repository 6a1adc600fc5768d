import math
import os

import cv2
import numpy as np
import pytest
from PIL import Image

from mmps.apis.frame_sources import (
    InputOptions,
    expand_inputs,
    read_frame,
    read_picture,
    read_video,
)
from mmps.datasets import PRWDataset
from mmps.datasets.errors import BadImageError
from mmps.utils.errors import UsageError

from small_sets import write_prw


def names(items):
    return [getattr(item, 'name', None) or item.frame.name for item in items]


def test_folder_pattern_list_and_file(frames, video, tmp_path):
    whole = expand_inputs(frames)
    assert names(whole) == [
        f'{frames}/cam{c}/{n}.png' for c in range(3) for n in range(4)
    ]
    some = expand_inputs(f'{frames}/cam*/1.png')
    assert names(some) == [f'{frames}/cam{c}/1.png' for c in range(3)]
    listing = tmp_path / 'list.txt'
    relative = os.path.relpath(frames / 'cam0' / '2.png', tmp_path)
    listing.write_text(f'{relative}\n\n{video}\n')
    both = expand_inputs([listing, frames / 'cam0'])
    # Each file once, where it was named first.
    assert names(both) == [
        f'{frames}/cam0/2.png', str(video),
        *(f'{frames}/cam0/{n}.png' for n in (0, 1, 3)),
    ]  # fmt: skip


def test_hidden_and_other_files_in_folders_are_left_out(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.jpg'), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / 'notes.md').write_text('x')
    (tmp_path / '.thumbs').mkdir()
    cv2.imwrite(str(tmp_path / '.thumbs' / 'b.jpg'), np.zeros((8, 8, 3)))
    assert names(expand_inputs(tmp_path)) == [f'{tmp_path}/a.jpg']


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda p: p / 'nope', 'does not exist'),
        (lambda p: p / 'no*.jpg', 'does not exist'),
        (lambda p: p, 'no picture or video in this folder'),
        (lambda p: written(p / 'a.md', 'x'), 'expected a picture'),
        (lambda p: written(p / 'a.txt', ''), 'empty list'),
        (lambda p: written(p / 'a.txt', 'b.jpg'), 'line 1: b.jpg'),
        (lambda p: written(p / 'a.mp4', 'junk'), 'cannot be read as a video'),
        (lambda p: written(p / 'a.mp4', ''), 'cannot be read as a video'),
        (lambda p: written(p / 'a.txt', b'\xff\xfe\x00'), 'UTF-8'),
        (lambda p: written(p / 'a.jpg', b'junk'), 'cannot be read as a pict'),
    ],
)
def test_bad_inputs(tmp_path, make, message):
    with pytest.raises(UsageError, match=message):
        expand_inputs(make(tmp_path))


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else
                     content.encode())  # fmt: skip
    return path


def test_cameras_times_and_names(frames):
    options = InputOptions(
        camera='other', camera_regex=r'cam([01])', root=frames,
        file_times=True,
    )  # fmt: skip
    found = [item.frame for item in expand_inputs(frames, options)]
    assert [f.camera for f in found] == ['0'] * 4 + ['1'] * 4 + ['other'] * 4
    assert found[5].name == found[5].source == 'cam1/1.png'
    assert found[5].time == os.path.getmtime(frames / 'cam1' / '1.png')
    (plain,) = expand_inputs(frames / 'cam1' / '1.png')
    assert math.isnan(plain.frame.time)
    assert plain.frame.camera == ''
    whole = InputOptions(camera_regex='cam.')
    assert whole.camera_of('x/cam7/1.png') == 'cam7'


def test_root_and_pattern_are_checked(frames, tmp_path):
    with pytest.raises(UsageError, match='not below the root'):
        expand_inputs(frames, InputOptions(root=tmp_path))
    with pytest.raises(UsageError, match='camera_regex'):
        InputOptions(camera_regex='(')
    with pytest.raises(UsageError, match='video_fps'):
        InputOptions(video_fps=0)


@pytest.mark.parametrize(
    ('fps', 'wanted'),
    [
        (None, list(range(20))),
        (10, list(range(20))),
        (30, list(range(20))),
        (5, list(range(0, 20, 2))),
        (2, [0, 5, 10, 15]),
        (3, [0, 4, 7, 10, 14, 17]),
        (0.1, [0]),
    ],
)
def test_video_is_sampled_by_time(video, fps, wanted):
    options = InputOptions(video_fps=fps, start_time=100.0, camera='v')
    (item,) = expand_inputs(video, options)
    found = list(read_video(item))
    assert [frame.index for frame, _ in found] == wanted
    assert abs(item.num_frames - len(wanted)) <= 1
    for frame, image in found:
        assert frame.time == pytest.approx(100 + frame.index / 10)
        assert frame.name == f'{video}#{frame.index:06d}'
        assert (frame.width, frame.height, frame.camera) == (640, 360, 'v')
        # The same picture is found again by its number.
        np.testing.assert_array_equal(read_frame(frame), image)


def test_frames_that_are_not_wanted_have_no_pixels(video):
    (item,) = expand_inputs(video, InputOptions(video_fps=5))
    found = list(read_video(item, lambda frame: frame.index > 10))
    assert [image is None for _, image in found] == [True] * 6 + [False] * 4


def test_pictures_are_turned_as_exif_says(tmp_path):
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :20] = 255
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned clockwise
    image.save(tmp_path / 'a.jpg', exif=exif, quality=95)
    turned = read_picture(tmp_path / 'a.jpg')
    assert turned.shape == (60, 40, 3)
    assert turned[:15].mean() > 250
    assert turned[25:].mean() < 5


def test_what_cannot_be_read_again(tmp_path, video):
    (item,) = expand_inputs(video)
    frame = item.frame(3, 0.3, (640, 360))
    with pytest.raises(BadImageError, match='no frame 99'):
        read_frame(frame._replace(index=99, source=f'{video}#t=9.9'))
    with pytest.raises(BadImageError, match='no such video'):
        read_frame(frame._replace(source='x.avi#t=0.3'), '/nowhere')
    with pytest.raises(BadImageError, match='was not kept'):
        read_frame(frame._replace(source=''))
    with pytest.raises(BadImageError, match=r'gone\.jpg'):
        read_frame(frame._replace(source='gone.jpg', index=-1), str(tmp_path))


def test_name_that_is_no_unicode(tmp_path):
    """Refused if it is named; in a folder it is one bad file."""
    path = os.fsencode(tmp_path) + b'/\xff.png'
    with open(path, 'wb') as file:
        file.write(b'x')
    with pytest.raises(UsageError, match='not UTF-8'):
        expand_inputs(os.fsdecode(path))
    for inputs in (tmp_path, f'{tmp_path}/*'):
        (item,) = expand_inputs(inputs)
        assert 'not UTF-8' in item.error
        assert item.frame.name.isascii()


def test_link_that_leads_nowhere(tmp_path):
    """Refused if it is named; in a folder it is told later."""
    for name in ('a.mp4', 'b.jpg'):
        (tmp_path / name).symlink_to(tmp_path / 'gone')
        with pytest.raises(UsageError, match=f'{name}: does not exist'):
            expand_inputs(tmp_path / name)
    options = InputOptions(file_times=True)
    film, picture = expand_inputs(tmp_path, options)
    assert film.num_bytes == 0
    assert math.isnan(picture.frame.time)


def test_picture_that_is_named_is_read_as_a_whole(frames, tmp_path):
    image = cv2.imread(str(frames / 'cam0' / '0.png'))
    data = cv2.imencode('.jpg', image)[1].tobytes()
    path = written(tmp_path / 'a.jpg', data)
    assert names(expand_inputs(path)) == [str(path)]
    written(path, data[: len(data) // 2])
    with pytest.raises(UsageError, match='a.jpg: cannot be read .*not a wh'):
        expand_inputs(path)
    assert names(expand_inputs(tmp_path)) == [str(path)]


def test_list_with_a_byte_order_mark(frames, tmp_path):
    file = frames / 'cam0' / '2.png'
    listing = written(tmp_path / 'a.txt', f'\ufeff{file}\n')
    assert names(expand_inputs(listing)) == [str(file)]


def test_broken_files_in_folders_are_told_later(tmp_path, video):
    """One bad file must not stop an archive; patterns pass others over."""
    (tmp_path / 'a.mp4').write_bytes(b'junk')
    (tmp_path / 'b.jpg').write_bytes(b'junk')
    (tmp_path / 'notes.md').write_text('x')
    for inputs in (tmp_path, f'{tmp_path}/*'):
        film, picture = expand_inputs(inputs)
        with pytest.raises(BadImageError, match='a.mp4'):
            list(read_video(film))
        with pytest.raises(BadImageError, match='b.jpg'):
            read_picture(picture.path)
    with pytest.raises(UsageError, match='no picture or video'):
        expand_inputs(f'{tmp_path}/*.md')


def test_roots_do_not_mix(tmp_path):
    plain, rooted = InputOptions(), InputOptions(root=tmp_path)
    assert plain.with_root(str(tmp_path)) == InputOptions(root=str(tmp_path))
    assert rooted.with_root(str(tmp_path)).root == str(tmp_path)
    assert plain.with_root('') == plain
    with pytest.raises(UsageError, match='are absolute'):
        rooted.with_root('')
    with pytest.raises(UsageError, match='relative to /other'):
        rooted.with_root('/other')


def test_frames_are_found_where_numbers_lead_astray(video, monkeypatch):
    """As with a varying frame rate: seeking lands on another frame."""
    (item,) = expand_inputs(video, InputOptions(video_fps=None))
    wanted = dict(read_video(item))
    real = cv2.VideoCapture

    class Astray:
        def __init__(self, path):
            self.real = real(path)

        def set(self, what, number):
            return self.real.set(what, number + 2)

        def __getattr__(self, name):
            return getattr(self.real, name)

    monkeypatch.setattr(cv2, 'VideoCapture', Astray)
    for frame in list(wanted)[::5]:
        np.testing.assert_array_equal(read_frame(frame), wanted[frame])


def test_frames_of_a_data_set(tmp_path):
    dataset = PRWDataset(str(write_prw(tmp_path / 'PRW')), split='test')
    items = expand_inputs([dataset])
    assert names(items) == [info['img_path'] for info in dataset]
    assert [item.frame.camera for item in items] == ['1', '2', '6', '6']
    picture = read_picture(items[0].path)
    np.testing.assert_array_equal(picture, cv2.imread(items[0].path))


def test_pattern_of_folders(frames):
    folders = expand_inputs(f'{frames}/cam[01]')
    assert names(folders) == names(
        expand_inputs([frames / 'cam0', frames / 'cam1'])
    )


def test_video_without_frames_or_times(video, monkeypatch):
    """A stream has no time stamps: its rate gives the times."""
    (item,) = expand_inputs(video, InputOptions(video_fps=None))
    real = cv2.VideoCapture

    class Stream:
        num_frames = 3

        def __init__(self, path):
            self.capture, self.left = real(path), self.num_frames

        def __getattr__(self, name):
            return getattr(self.capture, name)

        def grab(self):
            self.left -= 1
            return self.left >= 0 and self.capture.grab()

        def get(self, key):
            if key == cv2.CAP_PROP_POS_MSEC:
                return 0.0
            return self.capture.get(key)

    monkeypatch.setattr(cv2, 'VideoCapture', Stream)
    times = [frame.time for frame, _ in read_video(item)]
    assert times == pytest.approx([0, 0.1, 0.2])
    Stream.num_frames = 0
    with pytest.raises(BadImageError, match='a video without frames'):
        list(read_video(item))
