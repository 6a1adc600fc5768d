"""Which edit a file gets: what fits its kind, or any."""

import random
from pathlib import Path

from .arrays import edit_mat, edit_npy, edit_npz
from .raw import edit_bytes
from .texts import edit_json, edit_text

# Name to content; None stands for a folder of that name.
Files = dict[str, bytes | None]

_EDITS = {
    '.json': edit_json,
    '.mat': edit_mat,
    '.npy': edit_npy,
    '.npz': edit_npz,
    '.txt': edit_text,
}


def edited(files: Files, seeds: list[int]) -> Files:
    """Damage some files.

    Args:
        files: The valid ones; not changed.
        seeds: One for each edit, applied one after another.

    Returns:
        All files, the damaged ones among them.
    """
    out, damaged = dict(files), set()
    for seed in seeds:
        _edit_one(out, damaged, random.Random(seed))
    return out


def _edit_one(files: Files, damaged: set[str], rng: random.Random) -> None:
    if not files:
        return
    name = rng.choice(sorted(files))
    other = rng.choice(sorted(files))
    data = files[name]
    if data is None or rng.random() < 0.04:
        _edit_whole(files, name, other, rng)
        damaged.update((name, other))
        return
    edit = _EDITS.get(Path(name).suffix)
    # scipy, which makes the edit, may crash on a damaged .mat file.
    broken = edit is edit_mat and name in damaged
    if edit is None or broken or rng.random() < 0.4:
        files[name] = edit_bytes(data, rng, files[other] or b'')
    else:
        files[name] = edit(data, rng)
    damaged.add(name)


def _edit_whole(
    files: Files, name: str, other: str, rng: random.Random
) -> None:
    kind = rng.randrange(5)
    if kind == 0:
        del files[name]
    elif kind == 1:
        files[name] = None
    elif kind == 2:
        files[name] = b''
    elif kind == 3:
        files[name], files[other] = files[other], files[name]
    else:
        files[name] = rng.randbytes(rng.choice((1, 100, 5000)))
