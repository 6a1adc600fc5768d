"""Published checkpoints of other repositories, and their weights as ours."""

from .convert import Imported, convert, recognise
from .families import FAMILIES, Family

__all__ = ['FAMILIES', 'Family', 'Imported', 'convert', 'recognise']
