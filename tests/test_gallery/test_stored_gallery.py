"""Tests of a stored gallery that an earlier version has written."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from mmps.gallery import (
    Filters,
    Frame,
    GalleryRows,
    open_gallery,
    stable_id,
)

STORED = Path(__file__).parents[1] / 'data' / 'gallery_v1'
# Person -> frame, box, score, direction of the embedding, track.
PEOPLE = {
    3: ('a.jpg', [3, 4, 5, 6], 0.03, 3, -1),
    4: ('a.jpg', [8, 9, 10, 11], 0.04, 0, 0),
    11: ('b\u00e4.jpg', [19, 20, 21, 22], 0.11, 3, 1),
}


@pytest.mark.parametrize('read_only', [True, False])
def test_everything_is_read(tmp_path: Path, read_only: bool) -> None:
    folder = tmp_path / 'g'
    shutil.copytree(STORED, folder)
    with open_gallery(folder, read_only=read_only) as gallery:
        header = gallery.header
        assert (header.dim, header.dtype, header.metric) == (
            4, 'float16', 'cosine',
        )  # fmt: skip
        assert (header.model, header.model_hash) == ('pcnet', 'ab' * 32)
        assert (header.det_thr, header.threshold) == (0.5, 0.25)
        assert gallery.root == str(tmp_path)
        rows, frames = gallery.get(list(PEOPLE), embeddings=True)
        for i, (name, box, score, place, track) in enumerate(PEOPLE.values()):
            assert frames[rows.frames[i]].name == name
            assert rows.bboxes[i].tolist() == box
            assert rows.scores[i] == np.float32(score)
            assert rows.embeddings[i].tolist() == np.eye(4)[place].tolist()
            assert rows.tracks[i] == track
        assert gallery.frame(stable_id('a.jpg')) == Frame(
            'a.jpg', 'a.jpg', camera='y', time=2.5
        )
        listed = gallery.list_frames()
        assert [frame.name for frame in listed] == [
            'a.jpg', 'b\u00e4.jpg', 'empty.jpg',
        ]  # fmt: skip
        assert listed[1].source == 'sub/b.jpg'
        assert gallery.cameras() == ['', 'y']
        assert gallery.has_frames(['film.mp4', 'c']).tolist() == [True, False]
        # What was replaced or deleted stays away.
        assert gallery.count() == 3
        found = gallery.search(np.eye(4)[3:], 4)
        assert found.ids.tolist() == [[11, 3, 4, -1]]
        found = gallery.search(np.eye(4)[3:], 4, Filters(cameras=['y']))
        assert found.ids.tolist() == [[3, 4, -1, -1]]


def test_it_can_be_filled_and_merged(tmp_path: Path) -> None:
    folder = tmp_path / 'g'
    shutil.copytree(STORED, folder)
    with open_gallery(folder) as gallery:
        gallery.add(
            [Frame('c.jpg')],
            GalleryRows([2], [0], np.ones((1, 4)), [0.5], np.ones((1, 4))),
        )
        gallery.persist()
        ids = sorted(int(i) for rows, _ in gallery.scan() for i in rows.ids)
        assert ids == [2, *PEOPLE]
    with open_gallery(folder, read_only=True) as gallery:
        assert gallery.info()['segments'] == 1
        assert gallery.count() == 4
