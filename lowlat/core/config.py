"""The one config loader: TOML text into a frozen msgspec struct, or one message that helps.

Every error names the key, the value found and what is allowed. Unknown keys are refused with the
closest valid name. ``validate()`` of the root struct checks what spans keys.
"""

import difflib
import re
import tomllib
from typing import Any, Final, TypeVar

import msgspec

from lowlat.core.errors import ConfigError

__all__ = ["build_config", "change_value", "decode_config", "effective_config"]

T = TypeVar("T", bound=msgspec.Struct)
_PATH: Final = re.compile(r" - at `\$\.?([^`]*)`$")
_UNKNOWN: Final = re.compile(r"unknown field `([^`]*)`")


def decode_config(text: str, schema: type[T], *, source: str = "config") -> T:
    """Decode TOML text into schema; raises ConfigError for anything that is not allowed."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: not valid TOML: {error}") from None
    return build_config(raw, schema, source=source)


def build_config(raw: dict[str, Any], schema: type[T], *, source: str = "config") -> T:
    """Check plain values against schema; raises ConfigError for anything that is not allowed."""
    try:
        config = msgspec.convert(raw, schema, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {_explain(str(error), raw, schema)}") from None
    validate = getattr(config, "validate", None)
    if validate is not None:
        validate()
    return config


def change_value(raw: dict[str, Any], key: str, text: str) -> dict[str, Any]:
    """Return a copy of plain values with ``section.key`` set to text, a TOML value or a bare word.

    Raises ConfigError for a path through something that is no section; whether the key exists and
    the value is allowed is for ``build_config`` to say.
    """
    try:
        read: dict[str, Any] = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        read = {"value": text}
    if len(read) != 1:
        raise ConfigError(f"{key} was set to more than one value: {text!r}")
    *sections, last = key.split(".")
    if not all(sections) or not last:
        raise ConfigError(f"key was {key!r}, expected section.key")
    changed = table = dict(raw)
    for section in sections:
        inner = table.get(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"key was {key!r}: {section} is no section, it is {inner!r}")
        table[section] = inner = dict(inner)
        table = inner
    table[last] = read["value"]
    return changed


def effective_config(config: msgspec.Struct) -> list[str]:
    """List every key with its value, one ``section.key = value`` a line, as it is in force."""
    lines: list[str] = []

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{path}.{key}" if path else str(key))
        else:
            lines.append(f"{path} = {value!r}")

    walk(msgspec.to_builtins(config), "")
    return lines


def _explain(message: str, raw: dict[str, Any], schema: type[msgspec.Struct]) -> str:
    match = _PATH.search(message)
    path = _with_keys(match.group(1), raw, schema) if match else ""
    what = _PATH.sub("", message)
    unknown = _UNKNOWN.search(what)
    if unknown:
        name = unknown.group(1)
        allowed = _fields_at(schema, path)
        near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.4)
        key = f"{path}.{name}" if path else name
        value = _value_at(raw, key)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"unknown key {key} (value {value!r}): {hint}allowed here: {', '.join(allowed)}"
    return f"{path or 'the file'} was {_value_at(raw, path)!r}: {what[0].lower()}{what[1:]}"


def _with_keys(path: str, raw: dict[str, Any], schema: type[msgspec.Struct]) -> str:
    """Name the entry of a table that the decoder only calls ``[...]``: the first that is bad."""
    while "[...]" in path:
        before, _, after = path.partition("[...]")
        kind = _kind_at(schema, f"{before}.any")
        table = _value_at(raw, before)
        bad = [key for key, value in table.items() if not _is_good(value, kind)]
        path = f"{before}.{bad[0] if bad else '*'}{after}"
    return path


def _is_good(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError:
        return False
    return True


def _value_at(raw: Any, path: str) -> Any:
    for key in re.findall(r"[^.\[\]]+", path):
        if isinstance(raw, dict):
            raw = raw.get(key)
        elif isinstance(raw, list) and key.isdigit() and int(key) < len(raw):
            raw = raw[int(key)]
    return raw


def _fields_at(schema: Any, path: str) -> list[str]:
    kind = _kind_at(schema, path)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return sorted(field.encode_name for field in msgspec.structs.fields(kind))
    return []


def _kind_at(schema: Any, path: str) -> Any:
    for key in re.findall(r"[^.\[\]]+", path):
        if isinstance(schema, type) and issubclass(schema, msgspec.Struct):
            found = {field.encode_name: field.type for field in msgspec.structs.fields(schema)}
            schema = found.get(key)
        else:
            arguments = getattr(schema, "__args__", ())
            schema = arguments[-1] if arguments else None
    return schema
