"""Errors of data sets on disk: every fault found, in one message."""

MAX_LISTED = 20


class DatasetError(ValueError):
    """A data set on disk is missing, incomplete or malformed."""


class BadImageError(OSError):
    """An image file is missing, empty, truncated or not an image."""


class FaultList:
    """Collects the faults of a data set and raises once.

    Args:
        title: What was being read, the first words of the message.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.lines: list[str] = []

    def __len__(self) -> int:
        return len(self.lines)

    def add(self, where: object, problem: str, expected: str) -> None:
        """Record one fault.

        Args:
            where: Path of the file, with the row or field if it has one.
            problem: What is wrong there.
            expected: What should have been there.
        """
        self.lines.append(f'{where}: {problem}; expected {expected}')

    def raise_if_any(self) -> None:
        """Raise the faults recorded so far.

        Raises:
            DatasetError: At least one fault; lists the first 20 of them
                and the number of the others.
        """
        if not self.lines:
            return
        num = len(self.lines)
        shown = [f'  - {line}' for line in self.lines[:MAX_LISTED]]
        if num > MAX_LISTED:
            shown.append(f'  ... and {num - MAX_LISTED} more')
        faults = '1 fault' if num == 1 else f'{num} faults'
        raise DatasetError('\n'.join([f'{self.title}: {faults}', *shown]))
