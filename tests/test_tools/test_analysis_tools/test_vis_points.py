"""Tests of the drawings of sampled points."""

import numpy as np
import pytest


def test_points_are_drawn_where_they_are(tool):
    vis = tool('analysis_tools/vis_points.py')
    image = np.zeros((50, 40, 3), np.uint8)
    rng = np.random.default_rng(0)
    points = rng.uniform(5, 35, (1, 9, 2))
    picture = vis.draw_points(
        image, np.array([[2.0, 3, 30, 45]]), points, zoom=3.0
    )
    assert picture.shape == (150, 120, 3)
    # The upper side of the box, antialiased.
    assert picture[9, 10:85].min() > 200
    # The last drawn of a set lies on top of the others.
    for k in (2, 5, 8):
        x, y = (points[0, k] * 3).round().astype(int)
        near = np.linalg.norm(points[0] - points[0, k], axis=1) * 3
        if (near[k + 1 :] > 8).all():
            assert tuple(picture[y, x]) == vis.COLOURS[k // 3]


def test_a_frame_without_people_is_only_enlarged(tool):
    vis = tool('analysis_tools/vis_points.py')
    image = np.full((20, 30, 3), 7, np.uint8)
    picture = vis.draw_points(
        image, np.zeros((0, 4)), np.zeros((0, 9, 2)), zoom=2.0
    )
    assert (picture == 7).all()
    assert picture.shape == (40, 60, 3)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ('configs/pcnet/pcnet_r18_scenes.py', 'checkpoint none.pth'),
        ('configs/pcnet/none.py', 'does not exist'),
    ],
)
def test_errors_of_use_are_one_line(cli, tmp_path, config, message):
    status, err = cli(
        'analysis_tools/vis_points.py',
        config,
        'none.pth',
        '--out-dir',
        tmp_path,
    )
    assert status == 2
    assert message in err
    assert err.count('\n') == 1
