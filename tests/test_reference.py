import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "make_reference.py"


def test_the_reference_says_what_the_docstrings_say() -> None:
    spec = importlib.util.spec_from_file_location("make_reference", SCRIPT)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.PATH.read_text() == script.reference(), "run: python scripts/make_reference.py"
