"""Pictures of search results."""

from .curves import plot_cmc, plot_gallery_sizes, plot_similarities
from .rank_lists import draw_rank_list

__all__ = [
    'draw_rank_list',
    'plot_cmc',
    'plot_gallery_sizes',
    'plot_similarities',
]
