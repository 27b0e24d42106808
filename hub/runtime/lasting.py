"""The garbage collector and what lasts as long as the process.

Modules and the parts of a started hub are some hundred thousand objects that never go. A collector that walks
them again and again costs a third of a second of each start, and later pauses of tens of milliseconds that
everybody on the event loop feels. What is made inside :func:`lasting` is set aside: it is not walked any more.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting() -> Iterator[None]:
    """Collect nothing inside, and never again walk what was made there."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def settle() -> None:
    """Collect what a start left behind, once, and set aside what stayed."""
    gc.collect()
    gc.freeze()
