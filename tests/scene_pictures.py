"""A small model with a gallery filter, and pictures for it."""

from pathlib import Path

import cv2

from painted import paint_frame

CONFIG = 'configs/seqnext/seqnext-gfn_r18_scenes.py'
# Untrained, everybody scores low.
OPTIONS = {
    'model.test_cfg.rcnn.score_thr': 0.0,
    'model.test_cfg.rcnn.max_per_img': 4,
    'model.test_cfg.rcnn.before_last.score_thr': 0.0,
}
# A person of the first picture.
BOX = (40, 60, 80, 150)


def paint_pictures(folder: Path) -> list[str]:
    """Write six frames, of which no two look alike; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for i in range(6):
        people = [(j, 40 + 60 * j, 30 + 12 * i) for j in range(1 + i % 3)]
        image = paint_frame(people, size=(384, 216))[0]
        image[:, : 40 * i] = 40 * i
        files.append(str(folder / f'{i}.png'))
        cv2.imwrite(files[-1], image)
    return files
