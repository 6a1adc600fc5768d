"""Tests of mmdet's transforms: person ids stay in step, or it is refused."""

from collections.abc import Callable

import numpy as np
import pytest
from mmdet.datasets import MultiImageMixDataset
from mmdet.registry import TRANSFORMS as MMDET_TRANSFORMS

from mmps.datasets.pipeline_check import REFUSED, check_pipeline
from mmps.registry import TRANSFORMS

IDS = [3, -1, 0, 7, 5]

# Used as they are; 'gray' ones change colours, so only order is checked.
GEOMETRIC = {
    'Resize': dict(scale=(200, 150), keep_ratio=True),
    'FixScaleResize': dict(scale=(200, 150), keep_ratio=True),
    'FixShapeResize': dict(width=220, height=180, keep_ratio=False),
    'ResizeShortestEdge': dict(scale=120, max_size=400),
    'RandomFlip': dict(prob=1.0, direction='horizontal'),
    'RandomFlip_GLIP': dict(prob=1.0, direction='horizontal'),
    'Pad': dict(size_divisor=64),
    'RandomCrop': dict(crop_size=(150, 250)),
    'Expand': dict(prob=1.0),
    'ShearX': dict(prob=1.0, level=1),
    'ShearY': dict(prob=1.0, level=1),
    'Rotate': dict(prob=1.0, level=4),
    'TranslateX': dict(prob=1.0),
    'TranslateY': dict(prob=1.0),
    'CutOut': dict(n_holes=0, cutout_shape=(5, 5)),
    'SegRescale': dict(),
    'MultiBranch': dict(branch_field=['a'], a=[dict(type='mmdet.Resize')]),
}
PHOTOMETRIC = {
    'PhotoMetricDistortion': dict(),
    'YOLOXHSVRandomAug': dict(),
    'Color': dict(prob=1.0),
    'Brightness': dict(prob=1.0),
    'Contrast': dict(prob=1.0),
    'Sharpness': dict(prob=1.0),
    'Solarize': dict(prob=1.0),
    'SolarizeAdd': dict(prob=1.0),
    'Posterize': dict(prob=1.0),
    'Equalize': dict(prob=1.0),
    'AutoContrast': dict(prob=1.0),
    'Invert': dict(prob=1.0),
    'AutoAugment': dict(policies=[[dict(type='mmdet.Equalize', prob=1.0)]]),
    'RandAugment': dict(
        aug_space=[[dict(type='mmdet.Invert')], [dict(type='mmdet.Color')]]
    ),
    'RandomOrder': dict(transforms=[dict(type='mmdet.Brightness')]),
}
# Refused bare, in step inside KeepPersonIds.
WRAPPED = {
    'RandomShift': dict(prob=1.0, max_shift_px=120),
    'MinIoURandomCrop': dict(min_crop_size=0.4),
    'RandomCenterCropPad': dict(
        crop_size=(200, 200),
        mean=[0, 0, 0],
        std=[1, 1, 1],
        to_rgb=False,
        test_pad_mode=None,
    ),
    'RandomAffine': dict(max_shear_degree=0.0, max_rotate_degree=0.0),
    'RandomErasing': dict(n_patches=2, ratio=0.45, bbox_erased_thr=0.2),
}
CACHED = {
    'CachedMosaic': dict(img_scale=(400, 300), max_cached_images=8),
    'CachedMixUp': dict(img_scale=(400, 300), max_cached_images=8),
}
MIXED = {
    'Mosaic': dict(img_scale=(400, 300)),
    'MixUp': dict(img_scale=(400, 300), ratio_range=(1.0, 1.0)),
    'CopyPaste': dict(max_num_pasted=3, paste_by_box=True),
}
# No boxes pass through these, or they are the bases of others.
WITHOUT_BOXES = {
    *('BaseFrameSample', 'ColorTransform', 'GeomTransform', 'ImageToTensor'),
    *('InferencerLoader', 'LoadImageFromNDArray', 'LoadProposals'),
    *('LoadMultiChannelImageFromFiles', 'ToTensor', 'Transpose'),
    *('UniformRefFrameSample', 'WrapFieldsToLists', 'GTBoxSubOne_GLIP'),
    'Corrupt',
}


def build(name: str, options: dict) -> Callable:
    return TRANSFORMS.build(dict(type=f'mmdet.{name}', **options))


def wrap(name: str, options: dict) -> dict:
    inner = dict(type=f'mmdet.{name}', **options)
    return dict(type='mmps.KeepPersonIds', transform=inner)


def test_every_transform_of_mmdet_is_accounted_for() -> None:
    covered = {*GEOMETRIC, *PHOTOMETRIC, *REFUSED, *WITHOUT_BOXES}
    assert set(MMDET_TRANSFORMS.module_dict) - covered == set()
    assert {*WRAPPED, *CACHED, *MIXED} <= set(REFUSED)
    assert not set(REFUSED) & {*GEOMETRIC, *PHOTOMETRIC}


@pytest.mark.parametrize('name', sorted(set(GEOMETRIC) - {'MultiBranch'}))
def test_geometric(
    name: str, make_frame: Callable, assert_in_step: Callable
) -> None:
    transform = build(name, GEOMETRIC[name])
    for seed in range(4):
        np.random.seed(seed)
        results = transform(make_frame(IDS, seed))
        assert_in_step(results)
        check_pipeline([dict(type=f'mmdet.{name}', **GEOMETRIC[name])])


@pytest.mark.parametrize('name', sorted(PHOTOMETRIC))
def test_photometric(name: str, make_frame: Callable) -> None:
    transform = build(name, PHOTOMETRIC[name])
    for seed in range(4):
        np.random.seed(seed)
        results = transform(make_frame(IDS, seed))
        assert results['gt_instances_ids'].tolist() == IDS
        assert len(results['gt_bboxes']) == len(IDS)
        check_pipeline([transform])


@pytest.mark.parametrize(
    'config',
    [
        dict(type='RandomResize', scale=(300, 200), ratio_range=(0.5, 2.0)),
        dict(type='RandomChoiceResize', scales=[(200, 150), (500, 375)]),
        dict(
            type='RandomChoice',
            transforms=[[dict(type='mmdet.Resize', scale=(200, 150))]],
        ),
    ],
)
def test_wrappers_of_mmcv(
    config: dict, make_frame: Callable, assert_in_step: Callable
) -> None:
    if 'Resize' in config['type']:
        config = dict(config, resize_type='mmdet.Resize')
    check_pipeline([config])
    assert_in_step(TRANSFORMS.build(config)(make_frame(IDS)))


@pytest.mark.parametrize('name', sorted(WRAPPED))
def test_wrapped(
    name: str, make_frame: Callable, assert_in_step: Callable
) -> None:
    config = wrap(name, WRAPPED[name])
    check_pipeline([config])
    transform = TRANSFORMS.build(config)
    bare = build(name, WRAPPED[name])
    dropped = 0
    for seed in range(12):
        np.random.seed(seed)
        frame = make_frame(IDS, seed)
        frame['img'] = frame['img'].astype(np.float32)
        results = transform(dict(frame))
        # Erased patches hide colours; their people are covered below.
        if name != 'RandomErasing':
            assert_in_step(results)
        np.random.seed(seed)
        frame = make_frame(IDS, seed)
        unmoved = dict(zip(IDS, frame['gt_bboxes'].tensor.clone()))
        frame['img'] = frame['img'].astype(np.float32)
        expected = bare(frame)
        np.testing.assert_array_equal(
            results['gt_bboxes'].tensor, expected['gt_bboxes'].tensor
        )
        dropped += len(IDS) - len(results['gt_instances_ids'])
        if name == 'RandomErasing':
            for box, person in zip(
                results['gt_bboxes'].tensor, results['gt_instances_ids']
            ):
                assert (box == unmoved[int(person)]).all()
    assert dropped > 0  # otherwise nothing was tested


@pytest.mark.parametrize('name', sorted(CACHED))
def test_cached(
    name: str, make_frame: Callable, assert_in_step: Callable
) -> None:
    transform = TRANSFORMS.build(wrap(name, CACHED[name]))
    people = 0
    for seed in range(12):
        np.random.seed(seed)
        # MixUp adds the pictures: even frames blue, odd ones red.
        frame = make_frame([seed % 9, -1], seed, channel=2 * (seed % 2))
        results = transform(frame)
        assert len(results['gt_bboxes']) == len(results['gt_instances_ids'])
        if name == 'CachedMosaic':
            assert_in_step(results)
        people = max(people, len(results['gt_instances_ids']))
    assert people > 2


class Frames:
    """A data set of frames, as far as MultiImageMixDataset looks."""

    metainfo: dict = {}

    def __init__(self, frames: list[dict]) -> None:
        self.frames = frames

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, idx: int) -> dict:
        return self.frames[idx]

    def full_init(self) -> None:
        pass


@pytest.fixture
def mixed(make_frame: Callable) -> Callable[[str], MultiImageMixDataset]:
    """Maker of a mixing data set of six frames, two people each."""

    def make(name: str) -> MultiImageMixDataset:
        frames = [
            make_frame([i, i + 6 if i % 2 else -1], i, channel=2 * (i % 2))
            for i in range(6)
        ]
        dataset = MultiImageMixDataset.__new__(MultiImageMixDataset)
        step = TRANSFORMS.build(wrap(name, MIXED[name]))
        dataset.__dict__.update(
            dataset=Frames(frames),
            pipeline=[step],
            pipeline_types=['KeepPersonIds'],
            num_samples=6,
            max_refetch=15,
            _skip_type_keys=None,
            _metainfo={},
            _fully_initialized=True,
        )
        return dataset

    return make


def test_mosaic_in_step(mixed: Callable, assert_in_step: Callable) -> None:
    people = []
    for seed in range(12):
        np.random.seed(seed)
        results = mixed('Mosaic')[seed % 6]
        assert_in_step(results)
        people.append(len(results['gt_instances_ids']))
    assert max(people) > 2


def test_copy_paste_in_step(mixed: Callable) -> None:
    """A pasted person covers others: boxes shrink, but stay inside."""
    dataset = mixed('CopyPaste')
    boxes = {
        person: box
        for frame in dataset.dataset.frames
        for person, box in zip(
            frame['gt_instances_ids'].tolist(),
            frame['gt_bboxes'].tensor.clone(),
        )
    }
    pasted = 0
    for seed in range(12):
        np.random.seed(seed)
        results = dataset[seed % 6]
        ids = results['gt_instances_ids'].tolist()
        assert len(ids) == len(results['gt_bboxes'])
        own = dataset.dataset[seed % 6]['gt_instances_ids'].tolist()
        for box, person in zip(results['gt_bboxes'].tensor, ids):
            if person >= 0:
                assert (box[:2] >= boxes[person][:2]).all()
                assert (box[2:] <= boxes[person][2:]).all()
        pasted += len(set(ids) - set(own))
    assert pasted > 0


def test_mixup_in_step(mixed: Callable) -> None:
    """Blue people are of even frames and have even ids, red ones odd."""
    both = 0
    for seed in range(30):
        np.random.seed(seed)
        results = mixed('MixUp')[seed % 6]
        height, width = results['img'].shape[:2]
        ids = results['gt_instances_ids']
        assert len(ids) == len(results['gt_bboxes'])
        if len(set(ids[ids >= 0] % 2)) < 2:
            continue  # one colour: overlapping people cannot be told apart
        both += 1
        for box, person in zip(results['gt_bboxes'].tensor.numpy(), ids):
            x1, y1, x2, y2 = np.clip(box, 0, [width, height] * 2)
            if person < 0 or min(x2 - x1, y2 - y1) < 4:
                continue
            pixel = results['img'][int((y1 + y2) / 2), int((x1 + x2) / 2)]
            level = 40 + 16 * (person + 1)
            assert abs(pixel[2 * (person % 2)] - 0.5 * level) <= 4
    assert both > 3


@pytest.mark.parametrize('name', sorted(REFUSED))
@pytest.mark.parametrize(
    'nest',
    [
        lambda t: [t],
        lambda t: [dict(type='RandomApply', transforms=[t])],
        lambda t: [dict(type='RandomChoice', transforms=[[], [t]])],
        lambda t: [dict(type='mmdet.AutoAugment', policies=[[t]])],
        lambda t: [
            dict(type='mmdet.MultiBranch', branch_field=['a'], a=[dict(t)])
        ],
    ],
    ids=['bare', 'apply', 'choice', 'auto', 'branch'],
)
def test_refused(name: str, nest: Callable) -> None:
    for kind in (name, f'mmdet.{name}'):
        with pytest.raises(ValueError, match=f'{name}: ') as error:
            check_pipeline(nest(dict(type=kind)))
        assert REFUSED[name] in str(error.value)


def test_refused_when_already_built() -> None:
    bare = build('RandomAffine', {})
    with pytest.raises(ValueError, match='RandomAffine'):
        check_pipeline([bare])
    check_pipeline([TRANSFORMS.build(wrap('RandomAffine', {}))])


@pytest.mark.parametrize('name', ['PackDetInputs', 'Albu', 'InstaBoost'])
def test_some_are_refused_even_when_wrapped(name: str) -> None:
    with pytest.raises(ValueError, match=f'{name}: '):
        check_pipeline([wrap(name, {})])


def test_filter_in_step_when_wrapped(make_frame: Callable) -> None:
    frame = make_frame(IDS)
    widths = frame['gt_bboxes'].widths.numpy()
    limit = float(np.median(widths))
    kept = widths > limit
    config = wrap('FilterAnnotations', dict(min_gt_bbox_wh=(limit, 1)))
    check_pipeline([config])
    assert 0 < kept.sum() < len(IDS)
    results = TRANSFORMS.build(config)(frame)
    assert results['gt_instances_ids'].tolist() == list(np.array(IDS)[kept])


def test_same_names_of_other_packages_pass() -> None:
    check_pipeline([dict(type='mypackage.RandomAffine'), lambda x: x])
