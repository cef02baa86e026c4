"""Coverage-guided fuzzing of everything that reads foreign bytes.

    python -m fuzz [--seconds 600] [--seed 1] [TARGET ...]

A target takes any bytes and lets nothing out but what its entrance is documented to raise. Inputs that once failed,
and small ones that show each entrance what it is made for, lie in `corpus/<target>/`; `tests/fuzz` replays them all.
"""
