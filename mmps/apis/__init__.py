"""The Python interface: models by name, people in pictures, search.

Names are imported when they are first used: the frameworks take seconds.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    'Detections': 'person_model',
    'IndexReport': 'indexing',
    'InputOptions': 'frame_sources',
    'Match': 'searching',
    'PersonModel': 'person_model',
    'PersonSearcher': 'person_searcher',
    'SceneIndex': 'scene_index',
    'SceneSearchResult': 'scene_index',
    'SearchResult': 'searching',
    'get_model': 'shipped_models',
    'list_models': 'shipped_models',
    'search_gallery': 'searching',
}
__all__ = list(_HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{_HOMES[name]}'), name)
