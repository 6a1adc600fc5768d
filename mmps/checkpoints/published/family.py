"""What is known of the checkpoints of one published method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from .rules import Rule, sort_keys

# Rows of the lookup table. Some count one person less on PRW.
ROWS = {'prw': (482, 483), 'cuhk-sysu': (5532,)}


def _always(state: Mapping[str, Tensor]) -> bool:
    return True


@dataclass(frozen=True)
class Family:
    """The checkpoints of one published method.

    Args:
        name: As on the command line.
        title: As in sentences.
        rules: From its weights to those of the configs.
        table: Key of its lookup table, a row for every person.
        configs: The config of every data set that it was published for.
        is_version: Tells versions with the same keys apart. Defaults to all.
    """

    name: str
    title: str
    rules: tuple[Rule, ...]
    table: str
    configs: Mapping[str, str]
    is_version: Callable[[Mapping[str, Tensor]], bool] = _always

    def faults(self, state: Mapping[str, Tensor]) -> tuple[list, list]:
        """What the table of rules does not find, and what it does not know.

        Args:
            state: Published weights.

        Returns:
            Beginnings of the keys that are missing; keys too many.
        """
        found, unknown = sort_keys(state, self.rules)
        missing = [
            rule.source
            for rule in self.rules
            if not rule.optional and rule not in found
        ]
        return missing, unknown
