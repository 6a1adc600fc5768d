"""Ranks and average precision of many queries at once.

A query has few right answers and a large gallery: one sort of its similarities
and a binary search for each right answer give every rank, ties included,
without sorting indices.
"""

import numpy as np

from mmps.structures import frame_of_rows, ranges


def gallery_table(
    sims: np.ndarray, in_gallery: np.ndarray, frame_splits: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Similarities of each row's gallery, side by side.

    Args:
        sims: (B, N) similarity of each row to every detection.
        in_gallery: (B, F) bool, the frames of each row's gallery.
        frame_splits: (F + 1,) offsets of the frames' detections.

    Returns:
        (B, W) similarities, -inf in cells without a detection of the
        gallery, and (B, W) the detection of each cell, rising in a row.
    """
    counts = np.diff(frame_splits)
    sizes = in_gallery @ counts
    if 2 * sizes.sum() > sims.size:
        inside = np.take(in_gallery, frame_of_rows(frame_splits), axis=1)
        values = np.where(inside, sims, sims.dtype.type(-np.inf))
        return values, np.broadcast_to(np.arange(sims.shape[1]), sims.shape)
    # Small galleries: pick their detections out.
    rows, frames = np.nonzero(in_gallery)
    columns = ranges(frame_splits[frames], counts[frames])
    rows = np.repeat(rows, counts[frames])
    values = np.full((len(sims), sizes.max(initial=0)), -np.inf, sims.dtype)
    dets = np.zeros(values.shape, dtype=np.int64)
    places = rows, ranges(np.zeros_like(sizes), sizes)
    values[places] = sims[rows, columns]
    dets[places] = columns
    return values, dets


def sorted_gallery(
    sims: np.ndarray, in_gallery: np.ndarray, frame_splits: np.ndarray
) -> np.ndarray:
    """Sort the similarities of each row's gallery.

    Args: as :func:`gallery_table`.

    Returns:
        (B, W) rising; rows with fewer than W detections start with -inf.
    """
    values, _ = gallery_table(sims, in_gallery, frame_splits)
    values.sort(axis=1)
    return values


def row_bisect(
    table: np.ndarray, rows: np.ndarray, values: np.ndarray, side: str
) -> np.ndarray:
    """``np.searchsorted`` of each value in its own row of a table.

    Args:
        table: (B, W), every row rising.
        rows: (P,) row of each value.
        values: (P,) to be placed.
        side: 'left' or 'right'.

    Returns:
        (P,) insertion points in 0..W.
    """
    low = np.zeros(len(rows), dtype=np.int64)
    high = np.full(len(rows), table.shape[1], dtype=np.int64)
    before = np.less if side == 'left' else np.less_equal
    for _ in range(table.shape[1].bit_length()):
        middle = (low + high) // 2
        found = table[rows, np.minimum(middle, table.shape[1] - 1)]
        up = (low < high) & before(found, values)
        high = np.where(up | (low >= high), high, middle)
        low = np.where(up, middle + 1, low)
    return low


def rank_hits(
    gallery: np.ndarray, rows: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Count the detections above each right answer.

    Args:
        gallery: (B, W) from :func:`sorted_gallery`.
        rows: (P,) row of each right answer.
        values: (P,) its similarity, a value of that row.

    Returns:
        Two (P,) counts: detections that are more similar, and those that
        are at least as similar (itself included).
    """
    width = gallery.shape[1]
    above = width - row_bisect(gallery, rows, values, 'right')
    at_least = width - row_bisect(gallery, rows, values, 'left')
    return above, at_least


def average_precisions(
    rows: np.ndarray,
    values: np.ndarray,
    at_least: np.ndarray,
    num_positives: np.ndarray,
) -> np.ndarray:
    """Average precision x recall of every row.

    sklearn's ``average_precision_score`` (equal values form one step)
    times the share of positives that were found:
    ``AP = 1 / positives * sum over right answers t of
    #(right >= s_t) / #(all >= s_t)``.

    Args:
        rows: (P,) row of each right answer.
        values: (P,) its similarity.
        at_least: (P,) detections of its gallery that are at least as
            similar.
        num_positives: (B,) positives of each row, found or not.

    Returns:
        (B,) float64 in [0, 1]; 0 where nothing is found or to be found.
    """
    order = np.lexsort((-values, rows))
    rows, values, at_least = rows[order], values[order], at_least[order]
    place = np.arange(len(rows))
    starts = np.searchsorted(rows, rows, 'left')
    # Right answers of equal similarity are counted together, as one step.
    ends = np.ones(len(rows), dtype=bool)
    ends[:-1] = (rows[1:] != rows[:-1]) | (values[1:] != values[:-1])
    last = place[ends][np.cumsum(ends) - ends]
    precision = (last - starts + 1) / at_least
    sums = np.bincount(rows, precision, minlength=len(num_positives))
    return sums / np.maximum(num_positives, 1)


def first_hit_ranks(
    sims: np.ndarray,
    in_gallery: np.ndarray,
    det_frames: np.ndarray,
    hits: tuple[np.ndarray, np.ndarray],
    above: np.ndarray,
    at_least: np.ndarray,
) -> np.ndarray:
    """Rank of each row's best right answer.

    The order is by falling similarity, then by frame and by detection
    within the frame, as stored.

    Args:
        sims: (B, N) similarity of each row to every detection.
        in_gallery: (B, F) bool, the frames of each row's gallery.
        det_frames: (N,) frame of each detection.
        hits: (P,) row and (P,) detection of each right answer.
        above: (P,) from :func:`rank_hits`.
        at_least: (P,) from :func:`rank_hits`.

    Returns:
        (B,) int64 from 0; -1 where nothing right was found.
    """
    rows, dets = hits
    order = np.lexsort((dets, above, rows))
    best = order[np.unique(rows[order], return_index=True)[1]]
    ranks = np.full(len(sims), -1, dtype=np.int64)
    ranks[rows[best]] = above[best]
    tied = best[at_least[best] > above[best] + 1]
    row, det = rows[tied], dets[tied]
    equal = sims[row] == sims[row, det][:, None]
    equal &= in_gallery[row][:, det_frames]
    equal &= np.arange(sims.shape[1]) < det[:, None]
    ranks[row] += np.count_nonzero(equal, axis=1)
    return ranks
