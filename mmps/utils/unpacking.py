"""How much compressed data may become."""

# Small files may hold nothing but zeros.
_ALWAYS = 64 * 2**20
# Boxes, ids and embeddings shrink to a third at best, empty arrays further.
_RATIO = 200


def most_bytes(packed: int) -> int:
    """Size beyond which decompressed data is no data but a trap.

    Args:
        packed: Size of the compressed data in bytes.

    Returns:
        64 MiB, or 200 times the compressed size where that is more.
    """
    return max(_ALWAYS, _RATIO * packed)
