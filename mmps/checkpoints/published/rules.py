"""Tables of rules that turn one state dict into another."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Rule:
    """What becomes of the weights whose keys begin alike.

    Args:
        source: Prefix of their keys.
        target: Prefix in its place; several for copies; None leaves the
            weights out.
        change: From the weights by the rest of their keys to those that are
            stored, by the rest of their new keys. Defaults to None, as they
            are.
        optional: Whether a file may lack these weights. Defaults to False.
    """

    source: str
    target: str | tuple[str, ...] | None
    change: Callable[[Weights], Weights] | None = None
    optional: bool = False

    def __call__(self, group: Weights) -> Weights:
        """The new weights of a rule that does not leave them out.

        Args:
            group: The weights of this rule, by the rest of their keys.

        Raises:
            KeyError: ``change`` misses a weight; its argument: the rest of
                the key.
        """
        if self.change is not None:
            group = self.change(group)
        targets = self.target
        if isinstance(targets, str):
            targets = (targets,)
        return {
            target + rest: value
            for target in targets
            for rest, value in group.items()
        }


def sort_keys(
    keys: Iterable[str], rules: Sequence[Rule]
) -> tuple[dict[Rule, list[str]], list[str]]:
    """Find the rule of every key, the one with the longest prefix.

    Args:
        keys: Of a state dict.
        rules: A table.

    Returns:
        The keys of each rule that has some, and those that no rule knows.
    """
    by_length = sorted(rules, key=lambda rule: -len(rule.source))
    found, unknown = defaultdict(list), []
    for key in keys:
        for rule in by_length:
            if key.startswith(rule.source):
                found[rule].append(key)
                break
        else:
            unknown.append(key)
    return dict(found), unknown


def apply_rules(
    state: Mapping[str, Tensor], rules: Sequence[Rule]
) -> tuple[Weights, list[str]]:
    """Apply a table to a state dict that it knows completely.

    Where two rules give the same weight, the later one of the table holds.

    Args:
        state: The published weights.
        rules: A table.

    Returns:
        The new state dict, and the keys of what was left out.

    Raises:
        KeyError: A rule misses a weight; its argument: the key.
    """
    found, left_out = sort_keys(state, rules)
    converted: Weights = {}
    for rule in filter(found.__contains__, rules):
        keys = found[rule]
        if rule.target is None:
            left_out += keys
            continue
        group = {key[len(rule.source) :]: state[key] for key in keys}
        try:
            converted.update(rule(group))
        except KeyError as err:
            raise KeyError(rule.source + str(err.args[0])) from None
    return converted, left_out
