"""Writes docs/reference.md from the docstrings: settings, callbacks, errors, codes.

python scripts/make_reference.py            # after a change of a public docstring
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Iterator
from pathlib import Path

from channel_recorder import errors, handler
from channel_recorder.config import RecordingConfig
from channel_recorder.engine import RecordingEngine
from channel_recorder.handler import RecordingHandler

PATH = Path(__file__).resolve().parent.parent / "docs" / "reference.md"


def main() -> None:
    PATH.write_text(reference())


def reference() -> str:
    sections = (_head(), _engine(), _settings(), _callbacks(), _errors(), _codes())
    return "\n".join(line for section in sections for line in section) + "\n"


def _head() -> Iterator[str]:
    yield "# Reference"
    yield ""
    yield "Made from the docstrings by `scripts/make_reference.py`."


def _engine() -> Iterator[str]:
    yield from ("", "## RecordingEngine", "")
    yield "`channel_recorder.aio.RecordingEngine` has the same methods as coroutines."
    yield from ("", "| method | |", "|---|---|")
    for name, method in _public_methods(RecordingEngine):
        yield f"| `{name}{_signature(method)}` | {_flat(inspect.getdoc(method) or '')} |"


def _settings() -> Iterator[str]:
    yield from ("", "## RecordingConfig", "")
    yield "Every setting is a flag of `channel-recorder record` too (`--idle-limit-sec`); camelCase is accepted."
    yield from ("", "| setting | default | |", "|---|---|---|")
    for name, field in RecordingConfig.model_fields.items():
        yield f"| `{name}` | `{_shown(field.default)}` | {_flat(field.description or '')} |"


def _callbacks() -> Iterator[str]:
    yield from ("", "## RecordingHandler", "", _flat(inspect.getdoc(handler) or ""), "", "| callback | |", "|---|---|")
    for name, method in _public_methods(RecordingHandler):
        yield f"| `{name}{_signature(method)}` | {_flat(inspect.getdoc(method) or '')} |"


def _errors() -> Iterator[str]:
    yield from ("", "## Exceptions", "", "| exception | code | status | |", "|---|---|---|---|")
    for name, error in inspect.getmembers(errors, inspect.isclass):
        if issubclass(error, errors.RecorderError):
            yield f"| `{name}` | {error.code:d} | {error.status:d} | {_flat(inspect.getdoc(error) or '')} |"


def _codes() -> Iterator[str]:
    for module in (errors, handler):
        for name, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, enum.IntEnum | enum.IntFlag) and kind.__module__ == module.__name__:
                yield from (
                    "",
                    f"## {name}",
                    "",
                    _flat(vars(kind).get("__doc__") or ""),
                    "",
                    "| value | name |",
                    "|---|---|",
                )
                yield from (f"| {member.value} | `{label}` |" for label, member in kind.__members__.items())


def _public_methods(kind: type) -> Iterator[tuple[str, object]]:
    for name, member in vars(kind).items():
        if not name.startswith("_") and inspect.isfunction(member):
            yield name, member


def _signature(method: object) -> str:
    signature = inspect.signature(method)  # type: ignore[arg-type]
    parameters = [each for name, each in signature.parameters.items() if name != "self"]
    return "(" + ", ".join(_parameter(each) for each in parameters) + ")"


def _parameter(parameter: inspect.Parameter) -> str:
    return parameter.name if parameter.default is parameter.empty else f"{parameter.name}={_shown(parameter.default)}"


def _shown(value: object) -> str:
    return str(int(value)) if isinstance(value, enum.IntEnum) else repr(value)


def _flat(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    main()
