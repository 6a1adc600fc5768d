"""Pictures of search results."""

from .answers import Answer, crop_person, draw_answers, draw_contact_sheet
from .curves import plot_cmc, plot_gallery_sizes, plot_similarities
from .rank_lists import draw_rank_list

__all__ = [
    'Answer',
    'crop_person',
    'draw_answers',
    'draw_contact_sheet',
    'draw_rank_list',
    'plot_cmc',
    'plot_gallery_sizes',
    'plot_similarities',
]
