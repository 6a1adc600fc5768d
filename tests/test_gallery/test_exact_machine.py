"""State-machine tests of an exact gallery against a dict."""

import copy
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mmps.gallery import (
    Filters,
    Frame,
    GalleryHeader,
    GalleryRows,
    create_gallery,
    open_gallery,
    segments,
)
from mmps.gallery import exact as module
from mmps.utils import files

DIM = 8
# Few directions, so that similarities tie.
VECTORS = np.vstack([np.eye(DIM)[:3], np.ones((1, DIM))])
NAMES = st.sampled_from(['a', 'b', 'c', 'd/\u00e4'])
CAMERAS = st.sampled_from(['', 'x', 'y'])
TIMES = st.sampled_from([float('nan'), 0.0, 1.5, 9.0])
frames = st.builds(
    lambda name, camera, time: Frame(name, camera=camera, time=time),
    NAMES,
    CAMERAS,
    TIMES,
)
# Frames, and of each row: id, frame, direction, score.
batches = st.tuples(
    st.lists(frames, max_size=3, unique_by=lambda frame: frame.name),
    st.lists(
        st.tuples(
            st.integers(0, 11),
            st.integers(0, 2),
            st.integers(0, 3),
            st.sampled_from([0.2, 0.5, 0.9]),
        ),
        max_size=6,
        unique_by=lambda row: row[0],
    ),
)
filters = st.builds(
    Filters,
    cameras=st.none() | st.lists(CAMERAS, max_size=2),
    exclude_cameras=st.lists(CAMERAS, max_size=1),
    after=st.none() | st.sampled_from([0.0, 1.0]),
    before=st.none() | st.sampled_from([1.5, 5.0]),
    min_score=st.none() | st.sampled_from([0.5, 0.9]),
    exclude_frames=st.lists(NAMES, max_size=1),
    frames=st.none() | st.lists(NAMES, max_size=3),
)
deletions = st.tuples(
    st.sets(st.integers(0, 11), max_size=3), st.sets(NAMES, max_size=2)
)


class Crash(BaseException):
    """The end of a process, before or after a file was written."""


class Writer:
    """Writes files until it is told to crash."""

    def __init__(self) -> None:
        self.left = -1
        self.before = False

    def __call__(self, path, write) -> None:
        if self.left == 0 and self.before:
            raise Crash
        files.write_whole(path, write)
        if self.left == 0:
            raise Crash
        self.left -= 1


def rows_of(found: list[Frame], rows: list[tuple]) -> GalleryRows:
    rows = [row for row in rows if row[1] < len(found)]
    ids, owners, places, scores = zip(*rows) if rows else ((),) * 4
    return GalleryRows(
        ids=np.array(ids, np.int64),
        frames=np.array(owners, np.int64),
        bboxes=np.arange(4.0 * len(ids)).reshape(-1, 4),
        scores=np.array(scores, np.float64),
        embeddings=VECTORS[list(places)].reshape(-1, DIM),
    )


def make_machine(folder: Path, oracle_type: type, writer: Writer) -> type:
    """The machine; its parts are known to the test only."""

    class GalleryMachine(RuleBasedStateMachine):
        @initialize()
        def create(self) -> None:
            shutil.rmtree(folder, ignore_errors=True)
            writer.left = -1
            self.gallery = create_gallery(folder, GalleryHeader(DIM))
            self.reader = open_gallery(folder, read_only=True)
            self.oracle = oracle_type()

        def teardown(self) -> None:
            if hasattr(self, 'gallery'):
                self.gallery.close()
                self.reader.close()

        def change(self, gallery: object, action: tuple) -> object:
            kind, *values = action
            if kind == 'add':
                return gallery.add(values[0], rows_of(*values))
            if kind == 'delete':
                return gallery.delete(*map(sorted, values))
            return gallery.persist() if hasattr(gallery, 'persist') else None

        @rule(batch=batches)
        def add(self, batch: tuple) -> None:
            for one in (self.gallery, self.oracle):
                self.change(one, ('add', *batch))

        @rule(deletion=deletions)
        def delete(self, deletion: tuple) -> None:
            gone = [
                self.change(one, ('delete', *deletion))
                for one in (self.gallery, self.oracle)
            ]
            assert gone[0] == gone[1]

        @rule()
        def persist(self) -> None:
            self.gallery.persist()

        @rule()
        def reopen(self) -> None:
            self.gallery.close()
            self.gallery = open_gallery(folder)

        @rule(
            action=st.one_of(
                st.tuples(st.just('add'), frames.map(lambda f: [f]),
                          batches.map(lambda b: b[1])),
                st.tuples(st.just('delete'), deletions.map(lambda d: d[0]),
                          deletions.map(lambda d: d[1])),
                st.just(('persist',)),
            ),
            left=st.integers(0, 5),
            before=st.booleans(),
        )  # fmt: skip
        def crash(self, action: tuple, left: int, before: bool) -> None:
            """All of it is done, or none of it."""
            done = copy.deepcopy(self.oracle)
            self.change(done, action)
            writer.left, writer.before = left, before
            try:
                self.change(self.gallery, action)
                self.oracle = done
                return
            except Crash:
                writer.left = -1
            finally:
                writer.left = -1
            self.gallery.close()
            self.gallery = open_gallery(folder)
            found = {
                int(i): rows.embeddings[n].tobytes()
                for rows, _ in self.gallery.scan()
                for n, i in enumerate(rows.ids)
            }
            names = {f.name for f in self.gallery.list_frames()}
            states = [self.oracle, done]
            fitting = [
                one
                for one in states
                if set(one.rows) == set(found) and set(one.frames) == names
            ]
            assert fitting, (found, names)
            self.oracle = fitting[0]
            if len(fitting) == 2:  # which of them, the order tells
                scanned = [i for r, _ in self.gallery.scan() for i in r.ids]
                query = VECTORS[3:]
                ids = self.gallery.search(query, 12).ids.tolist()
                self.oracle = next(
                    one
                    for one in fitting
                    if one.in_order() == scanned
                    and one.search(query, 12)[0].tolist() == ids
                )

        @precondition(lambda self: self.oracle.rows)
        @rule(
            some=filters,
            k=st.sampled_from([1, 3, 20]),
            places=st.lists(st.integers(0, 3), min_size=1, max_size=2),
        )
        def search(self, some: Filters, k: int, places: list[int]) -> None:
            for one in (self.gallery, self.reader):
                self.oracle.check(one, VECTORS[places], k, some)
                passing = self.oracle.passing(some)
                assert one.count(some) == len(passing)

        @invariant()
        def same_content(self) -> None:
            for one in (self.gallery, self.reader):
                scanned = [i for rows, _ in one.scan(3) for i in rows.ids]
                assert scanned == self.oracle.in_order()
                listed = one.list_frames()
                assert [f.name for f in listed] == sorted(self.oracle.frames)
                for frame in listed:
                    wanted = self.oracle.frames[frame.name]
                    assert frame.camera == wanted.camera
                    assert str(frame.time) == str(wanted.time)
                assert one.info()['rows'] == len(self.oracle.rows)

    return GalleryMachine


@pytest.mark.parametrize('merge_count', [2, 8])
def test_gallery_equals_a_dict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_oracle, merge_count
):
    writer = Writer()
    monkeypatch.setattr(module, 'write_whole', writer)
    monkeypatch.setattr(segments, 'write_whole', writer)
    monkeypatch.setattr(module, '_MERGE_COUNT', merge_count)
    run_state_machine_as_test(
        make_machine(tmp_path / 'g', new_oracle, writer),
        settings=settings(
            max_examples=25,
            stateful_step_count=15,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
