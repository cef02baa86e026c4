"""What an entrance looks like to the fuzzer. Nothing of ours is imported here: that is done under its eyes."""

from __future__ import annotations

from collections.abc import Callable

Target = Callable[[bytes], None]
"""Takes any bytes, and raises only where something is wrong with us."""
