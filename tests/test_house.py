"""The house: which rooms may know which. Leaves know nobody, rooms know leaves, one module plugs them together."""

import ast
from pathlib import Path

import channel_recorder

ROOT = Path(channel_recorder.__file__).parent
VOCABULARY = {"model", "events", "errors", "config", "clock", "handler"}
LEAVES = {"codecs", "protocol", "timeline", "storage", "e2ee"}
FACES = {"engine", "aio", "cli", "service", "__main__", "__init__"}
ALLOWED = {
    "codecs": VOCABULARY,
    "protocol": VOCABULARY,
    "e2ee": VOCABULARY | {"codecs"},
    "timeline": VOCABULARY,
    "storage": VOCABULARY,
    "channel": VOCABULARY | LEAVES,
    "rtc": VOCABULARY | {"codecs"},
    "media": VOCABULARY | LEAVES,
    "recording": VOCABULARY | LEAVES | {"media"},
    "sfu": VOCABULARY | {"codecs", "protocol", "rtc"},
    "service": VOCABULARY | {"protocol", "storage", "aio", "arguments", "recording", "channel"},
}


def imported_rooms(path: Path) -> set[str]:
    """First names below the package that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("channel_recorder.")}


def test_rooms_import_only_what_the_house_allows() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {room}"
        for name, allowed in ALLOWED.items()
        for path in (ROOT / name).rglob("*.py")
        for room in imported_rooms(path) - allowed - {name}
    ]
    assert wrong == []


def test_the_vocabulary_imports_no_room() -> None:
    wrong = [
        f"{name} imports {room}" for name in VOCABULARY for room in imported_rooms(ROOT / f"{name}.py") - VOCABULARY
    ]
    assert wrong == []


def test_only_wiring_and_the_faces_know_several_rooms() -> None:
    rooms = set(ALLOWED)
    for path in ROOT.glob("*.py"):
        if len(imported_rooms(path) & rooms) > 1:
            assert path.stem in {"wiring"} | FACES, f"{path.name} knows several rooms"


def test_only_the_clock_module_reads_a_clock() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if path.name != "clock.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import) and any(alias.name == "time" for alias in node.names)
    ]
    assert wrong == []
