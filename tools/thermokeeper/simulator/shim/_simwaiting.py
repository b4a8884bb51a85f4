"""How a board in virtual time waits for what comes from outside: its time passes only where nothing comes.

Whoever answers has the host's time for it: the board's stands still while an answer is under way. Of a connection that
is known to be quiet nothing is waited for, and of one that stays so for long it is believed.
"""

_SLICE_MS = 5
_PATIENCE_MS = 20000


class Waiting:
    """Of one poll object. look(ms): what is ready, after at most so many milliseconds of the host."""

    def __init__(self, board, look):
        self._board = board
        self._look = look
        self._believed = False  # that nothing comes any more

    def ready(self, timeout_ms, others):
        """What is ready within so much of the board's time; below 0: whenever. others: whether more than a person."""
        board, look = self._board, self._look
        board.alive()
        end_ms = None if timeout_ms < 0 else board.skipped_ms + timeout_ms
        patience_ms = _PATIENCE_MS if others and not self._believed else 0
        ready = look(0)
        while not ready:
            if patience_ms and not board.is_quiet():
                ready = look(_SLICE_MS)
                patience_ms -= _SLICE_MS
                self._believed = not patience_ms
                continue
            ready = look(0)  # what came before it fell quiet
            left_ms = _SLICE_MS if end_ms is None else end_ms - board.skipped_ms
            if ready or left_ms <= 0:
                break
            if board.pass_ms(left_ms):
                patience_ms = _PATIENCE_MS if others else 0
        self._believed = self._believed and not ready
        return ready
