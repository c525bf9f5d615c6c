"""YAML files that remember their lines, so that every complaint names the place."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import pydantic
from ketmap_core.errors import KetmapError, unknown_name
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

EXPECTED = {
    "float_type": "a number",
    "int_type": "an integer",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "none_required": "nothing (null)",
    "finite_number": "a finite number",
    "literal_error": "{expected}",
    "greater_than": "a number greater than {gt:g}",
    "greater_than_equal": "a number of at least {ge:g}",
    "less_than": "a number less than {lt:g}",
    "less_than_equal": "a number of at most {le:g}",
    "too_short": "a list of at least {min_length}",
    "string_too_short": "text that is not empty",
    "union_tag_not_found": "a key {discriminator}",
}

Settings = TypeVar("Settings", bound=pydantic.BaseModel)


class ConfigError(KetmapError, ValueError):
    """A configuration that says something wrong; one line ``file:LINE: …`` for each mistake."""


def load(path: str | Path, schema: type[Settings]) -> Settings:
    """Read a YAML file as an object of ``schema``.

    :raises ConfigError: for wrong YAML, misspelt, missing and double keys, wrong types and values, all with
        their lines: what was found, what was expected.
    :raises FileNotFoundError: if there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file '{path}'; expected a YAML file, see ketmap --help")
    tree = _parse(path)
    try:
        return schema.model_validate(_plain(tree))
    except pydantic.ValidationError as error:
        raise ConfigError(_explain(path, tree, error)) from None


def dump(path: str | Path, settings: pydantic.BaseModel, comment: str) -> None:
    """Write settings as YAML, defaults included, below a comment."""
    yaml = YAML()
    yaml.default_flow_style = False
    with open(path, "w") as file:
        file.write("".join(f"# {line}\n" for line in comment.splitlines()))
        yaml.dump(settings.model_dump(mode="json"), file)


def explain(error: pydantic.ValidationError, spelling: dict[str, str]) -> str:
    """What is wrong with values that came from no file; spelling: setting -> what the user wrote."""
    lines = [
        f"{spelling.get(str(e['loc'][0]), e['loc'][0]) if e['loc'] else 'settings'}: {_found_expected(e)}"
        for e in error.errors()
    ]
    return "\n".join(dict.fromkeys(lines))


def _parse(path: Path) -> CommentedMap:
    try:
        tree = YAML().load(path.read_bytes())
    except DuplicateKeyError as error:
        key = str(error.problem).split('"')[1]
        raise ConfigError(f"{path}:{_mark(error)}: found key '{key}' a second time, expected every key once") from None
    except MarkedYAMLError as error:
        problem = " ".join(str(part) for part in (error.context, error.problem) if part)
        raise ConfigError(f"{path}:{_mark(error)}: found {problem}, expected valid YAML") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}:1: found {error}, expected valid YAML") from None
    if not isinstance(tree, CommentedMap):
        found = "nothing" if tree is None else _describe(tree)
        raise ConfigError(f"{path}:1: found {found}, expected a mapping (key: value)")
    return tree


def _mark(error: MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return 1 if mark is None else mark.line + 1


def _plain(node: Any) -> Any:
    """Dictionaries, lists and numbers without the YAML library's own kinds of them."""
    if isinstance(node, CommentedMap):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _explain(path: Path, tree: CommentedMap, error: pydantic.ValidationError) -> str:
    complaints: dict[tuple[int, str], list[str]] = {}  # of a union, every member complains: collect them
    for e in error.errors():
        found, expected = _parts(e)
        complaints.setdefault((_line(tree, e), found), []).append(expected)
    return "\n".join(
        f"{path}:{line}: {_joined(found, expected)}" for (line, found), expected in sorted(complaints.items())
    )


def _joined(found: str, expected: Iterable[str]) -> str:
    kinds = [text for text in dict.fromkeys(expected) if text]
    return found + (f", expected {' or '.join(kinds)}" if kinds else "")


def _found_expected(error: dict) -> str:
    found, expected = _parts(error)
    return _joined(found, [expected])


def _parts(error: dict) -> tuple[str, str]:
    """Found, and expected, of one of pydantic's errors."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        *owner, key = error["loc"]
        where = f" in '{owner[-1]}'" if owner else ""
        return f"found no key '{key}'{where}", "one"
    if kind == "union_tag_invalid":
        allowed = [tag.strip("' ") for tag in context["expected_tags"].split(",")]
        return unknown_name(context["tag"], allowed, "type"), ""
    if kind in ("unknown_key", "value_error"):
        return error["msg"].removeprefix("Value error, "), ""
    expected = EXPECTED.get(kind)
    expected = error["msg"] if expected is None else expected.format(**context)
    return f"found {_describe(error['input'])}", expected


def _describe(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    if isinstance(value, dict):
        return "a mapping (" + ", ".join(map(str, value)) + ")"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}' (text)" if isinstance(value, str) else f"{value!r}"


def _line(tree: CommentedMap, error: dict) -> int:
    """Line, counted from 1, of what an error is about."""
    node, line = tree, 1
    for step in error["loc"]:  # names of union members occur in it as well, and are nowhere in the tree
        if isinstance(node, CommentedMap) and step in node:
            line, node = node.lc.key(step)[0] + 1, node[step]
        elif isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node):
            line, node = node.lc.item(step)[0] + 1, node[step]
    key = _key(node, error) if isinstance(node, CommentedMap) else None
    return line if key is None else node.lc.key(key)[0] + 1


def _key(node: CommentedMap, error: dict) -> Any:
    """The key that an error about a whole mapping speaks of, if any."""
    if error["type"] == "unknown_key":
        return error["ctx"]["key"]
    if error["type"] == "union_tag_invalid":
        return "type"
    if error["type"] == "value_error":
        words = error["msg"].replace("'", " ").replace(":", " ").split()
        return next((word for word in words if word in node), None)
    return None
