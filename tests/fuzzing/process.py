"""Cases in a child process, which may crash or hang."""

import multiprocessing
import resource
import signal
import tempfile
from pathlib import Path

from .cases import FAULT, CaseRunner, Outcome
from .targets import Target


class GuardedRunner:
    """A :class:`CaseRunner` in a child with limits, replaced when it dies.

    Args:
        target: What is read.
        seconds: Time that one case may take. Defaults to 10.
        memory: Bytes that a case may have beside what the child holds when
            it is ready. Defaults to 1 GiB.
    """

    def __init__(
        self, target: Target, seconds: float = 10, memory: int = 2**30
    ) -> None:
        self.target = target
        self.seconds = seconds
        self.memory = memory
        self._start()

    def run(self, case: bytes) -> Outcome:
        """Run one case, see :class:`CaseRunner`.

        A crash, a case that takes too long, and one that needs too much
        memory are faults.
        """
        self._pipe.send(case)
        if not self._pipe.poll(self.seconds):
            outcome = Outcome(FAULT, f'hang: more than {self.seconds} s')
        else:
            try:
                return self._pipe.recv()
            except EOFError:
                self._child.join()
                outcome = Outcome(FAULT, f'crash: {self._last_words()}')
        self.close()
        self._start()
        return outcome

    def close(self) -> None:
        """End the child."""
        self._child.kill()
        self._child.join()
        self._pipe.close()
        self._folder.cleanup()

    def __enter__(self) -> 'GuardedRunner':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        # Forked from a process that has imported all and does nothing else.
        context = multiprocessing.get_context('forkserver')
        context.set_forkserver_preload([__name__])
        self._folder = tempfile.TemporaryDirectory(prefix='mmps-fuzz-')
        self._pipe, theirs = context.Pipe()
        self._child = context.Process(
            target=_serve,
            args=(self.target, self._folder.name, theirs, self.memory),
            daemon=True,
        )
        self._child.start()
        theirs.close()
        self._pipe.recv()

    def _last_words(self) -> str:
        code = self._child.exitcode or 0
        return signal.Signals(-code).name if code < 0 else f'exit {code}'


def _serve(target: Target, folder: str, pipe: object, memory: int) -> None:
    runner = CaseRunner(target, Path(folder) / 'files')
    held = int(Path('/proc/self/statm').read_text().split()[0])
    limit = held * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pipe.send('ready')
    while True:
        pipe.send(runner.run(pipe.recv()))
