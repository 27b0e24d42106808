"""``wattline secrets``: the file of secrets beside hub.yaml, written by hand or by this command."""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from hub.cli.options import common, show
from hub.errors import AskUser, ConfigError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\Z")
_MAX_CHARS = 16_384


@click.group()
def secrets() -> None:
    """Keep passwords and tokens out of hub.yaml."""


@secrets.command("set")
@click.argument("name")
@common
def set_secret(name: str, config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Store a secret for `!secret NAME`; the value is read from stdin, or asked for without showing it."""
    if not _NAME.match(name):
        raise click.BadParameter("a name has letters, digits and _ . - and starts with a letter or _")
    value = _value()
    path = config_dir / "secrets.yaml"
    known = _load(path)
    replaced = name in known
    known[name] = _quoted(value)
    _write(path, _dumped(known))
    text = f"{'changed' if replaced else 'added'} {name} in {path}; use it as !secret {name}"
    show({"name": name, "file": str(path), "replaced": replaced}, text, as_json=as_json)


@secrets.command("list")
@common
def list_secrets(config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """List the names of the secrets, never their values."""
    path = config_dir / "secrets.yaml"
    names = sorted(str(name) for name in _load(path))
    show({"items": names, "file": str(path)}, "\n".join(names) or "no secrets yet", as_json=as_json)


def known_secrets(config_dir: Path) -> set[str]:
    """Every value of the file, to be kept out of what is shown; none where it cannot be read.

    Raises nothing: whoever asks wants to hide, not to use them.
    """
    try:
        return {str(value) for value in _load(config_dir / "secrets.yaml").values()}
    except ConfigError:
        return set()


def _value() -> str:
    """One text; the line break at the end of a pipe is not part of it."""
    if sys.stdin.isatty():
        value = str(click.prompt("Value", hide_input=True, confirmation_prompt=True, err=True))
    else:
        value = sys.stdin.read(_MAX_CHARS + 1).removesuffix("\n").removesuffix("\r")
    if not value or len(value) > _MAX_CHARS or "\0" in value:
        raise AskUser(
            "WL-CLI-007",
            "the value is empty, holds a NUL, or is longer than 16 KiB",
            where="stdin",
            hint="send the secret on stdin: printf '%s' … | wattline secrets set NAME",
        )
    return value


def _load(path: Path) -> Any:
    """What is in the file, with its comments; a new mapping where there is no file yet."""
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.error import YAMLError

    _refuse_link(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        data = _yaml().load(text)
    except FileNotFoundError:
        return CommentedMap()
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        # the text of a YAML error quotes the file, which holds secrets
        raise _unusable(path, f"cannot be read ({type(error).__name__})") from None
    if data is None:
        data = CommentedMap()
        if text.strip():
            data.yaml_set_start_comment("\n".join(line.lstrip("# ") for line in text.strip().splitlines()))
    if not isinstance(data, dict):
        raise _unusable(path, "does not hold lines of `name: text`")
    return data


def _refuse_link(path: Path) -> None:
    """A file mounted as a link is managed by somebody else; replacing the link would part them silently."""
    if path.is_symlink():
        raise _unusable(path, "is a link and is not replaced")


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(
        "WL-CLI-008", f"the file of secrets {why}", where=str(path), hint="mend it by hand first"
    )


def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 1 << 20
    return yaml


def _quoted(value: str) -> Any:
    """Always quoted, so that ``0123`` or ``yes`` stays the text it is."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    return DoubleQuotedScalarString(value)


def _dumped(known: Any) -> str:
    stream = io.StringIO()
    _yaml().dump(known, stream)
    return stream.getvalue()


def _write(path: Path, text: str) -> None:
    """The whole new file or the old one, at mode 0600 from its first byte."""
    if not path.parent.is_dir():
        raise ConfigError(
            "WL-CFG-001",
            "there is no such configuration directory",
            where=str(path.parent),
            hint=f"run `wattline init {path.parent}`, or name the right one with --config",
        )
    draft = ""
    try:
        descriptor, draft = tempfile.mkstemp(prefix=".secrets-", dir=path.parent)  # mode 0600
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except OSError as error:
        if draft:
            Path(draft).unlink(missing_ok=True)
        raise ConfigError(
            "WL-CFG-081", f"cannot write: {error.strerror}", where=str(path), hint="check owner and mode"
        ) from error
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
