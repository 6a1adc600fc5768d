"""Writing the scenes in PRW's on-disk form."""

from pathlib import Path

import numpy as np

from mmps.utils.files import write_whole

from .layout import Layout
from .mat_writing import cells, save_mat
from .scenes_config import ScenesConfig
from .truth import SplitTruth, choose_queries

__all__ = ['PRW_LAYOUT']


def _write_annotations(
    root: Path,
    config: ScenesConfig,
    train: SplitTruth,
    test: SplitTruth,
    names: dict[str, str],
) -> dict[str, int]:
    """Write the ``.mat`` files and the list of queries; returns ``queries``.

    See :attr:`Layout.write_annotations`.
    """
    (root / 'annotations').mkdir(exist_ok=True)
    for split, truth, key in (
        ('train', train, 'ID_train'),
        ('test', test, 'ID_test2'),
    ):
        rows = np.column_stack([truth.person_ids, truth.boxes]).astype(float)
        for i, name in enumerate(truth.names):
            save_mat(
                root / 'annotations' / f'{names[name]}.mat',
                {'box_new': rows[slice(*truth.frame_splits[i : i + 2])]},
            )
        save_mat(
            root / f'frame_{split}.mat',
            {f'img_index_{split}': cells(truth.names)},
        )
        person_ids = truth.labelled_person_ids[None].astype(float)
        save_mat(root / f'{key}.mat', {key: person_ids})
    queries = choose_queries(test, config, per_camera=True)
    lines = [
        f'{test.person_ids[q]} '
        + ' '.join(f'{value:.2f}' for value in test.boxes[q])
        + f' {test.names[test.frames[q]]}\r\n'
        for q in queries
    ]
    write_whole(root / 'query_info.txt', ''.join(lines))
    return {'queries': len(queries)}


PRW_LAYOUT = Layout(
    image_folder='frames',
    image_name=lambda name, _: f'{name}.jpg',
    write_annotations=_write_annotations,
)
