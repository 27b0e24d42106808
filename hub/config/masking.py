"""Keeps secrets out of excerpts and messages.

Two nets: a textual one that works on any file, also on one that is not valid YAML (what follows a key such
as ``password:`` is masked), and a net of known texts (all values of secrets.yaml and of the environment).
"""

from __future__ import annotations

import re
from typing import Final

from hub.config.secret import DOTS, is_sensitive_key

_KEY = re.compile(
    r"""(?P<quote>["']?)(?P<key>[A-Za-z_][A-Za-z0-9_ .-]{0,60})(?P=quote)[ \t]{0,8}:(?=[ \t\r\n"'\[{]|$)"""
)
_URL_LOGIN = re.compile(r"(?<=://)[^/@\s\"']{1,500}(?=@)")
_URL_TOKEN = re.compile(r"(?i)(?<=[?&])((?:token|key|api_?key|auth|password|secret|sig)=)[^&\s\"']{1,500}")
_HARMLESS = re.compile(r"!(secret|env_var|include)\b|(null|~|true|false)?\s*(#.*)?$")
_EVERYDAY = frozenset({"none", "null", "true", "false", "basic", "digest", "bearer", "default", "auto"})
MIN_KNOWN_CHARS: Final = 4
MAX_LINE_CHARS: Final = 1000


class Mask:
    """Hides what is secret in the texts shown to people."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def learn(self, text: str) -> None:
        """From now on hide this text wherever it appears; very short ones would hide everything and are left."""
        for line in (text, *text.splitlines()):
            if len(line.strip()) >= MIN_KNOWN_CHARS:
                self._known.add(line)

    def text(self, text: str) -> str:
        """A message with known secrets and logins in addresses replaced by dots."""
        text = _URL_TOKEN.sub(rf"\1{DOTS}", _URL_LOGIN.sub(DOTS, text))
        for known in sorted(self._known, key=len, reverse=True):
            text = text.replace(known, DOTS)
        return text

    def learn_literal(self, text: str) -> None:
        """Learn a value that stands in the open behind a sensitive key; words of everyday use are left."""
        if text.strip().lower() not in _EVERYDAY:
            self.learn(text)

    def line(self, lines: list[str], number: int) -> str | None:
        """Line ``number`` (from 1) of a file with its secrets hidden; None beyond the end or where it is long."""
        if not 1 <= number <= len(lines) or len(lines[number - 1]) > MAX_LINE_CHARS:
            return None
        if _continues_secret(lines, number - 1):
            line = lines[number - 1]
            return line[: len(line) - len(line.lstrip())] + DOTS
        return self.text(_masked_values(lines[number - 1]))

    def span(self, lines: list[str], number: int, start: int, width: int) -> tuple[int, int]:
        """Where the characters ``start`` … ``start + width`` of a line are after :meth:`line` has masked it."""
        whole = self.line(lines, number)
        if whole is None or start < 0 or whole == lines[number - 1]:
            return max(0, start), width
        raw = lines[number - 1]
        left = len(self.text(_masked_values(raw[:start])))
        right = len(self.text(_masked_values(raw[: start + width])))
        left = min(left, max(0, len(whole) - 1))
        return left, max(1, min(right, len(whole)) - left)


def _sensitive_keys(line: str) -> list[re.Match[str]]:
    return [match for match in _KEY.finditer(line) if is_sensitive_key(match["key"].strip())]


def _masked_values(line: str) -> str:
    """The rest after a sensitive key is hidden: up to the comma of a flow mapping, or all of it when in doubt."""
    for match in reversed(_sensitive_keys(line)):
        head, rest = line[: match.end()], line[match.end() :]
        value = rest.lstrip()
        if not value or _HARMLESS.match(value):
            continue
        scalar = _scalar_of(value)
        tail = value[len(scalar) :] if _ends_flow_value(value[len(scalar) :]) else ""
        line = f"{head}{rest[: len(rest) - len(value)]}{DOTS}{tail}"
    return line


def _scalar_of(value: str) -> str:
    if value[:1] in "\"'":
        quoted = re.match(r'"(?:[^"\\]|\\.)*"' if value[0] == '"' else r"'(?:[^']|'')*'", value)
        return quoted[0] if quoted else value
    plain = re.match(r"[^,}\]#]*(?:[#,][^\s,}\]][^,}\]#]*)*", value)
    return (plain[0] if plain else value).rstrip()


def _ends_flow_value(rest: str) -> bool:
    return bool(re.match(r"\s*([,}\]#]|$)", rest))


def _continues_secret(lines: list[str], index: int) -> bool:
    """Does this line belong to a value that began behind a sensitive key on an earlier line?"""
    indent = _indent(lines[index])
    for back in range(index - 1, max(-1, index - 400), -1):
        line = lines[back]
        if not line.strip():
            continue
        if len(line) > MAX_LINE_CHARS:
            return True
        if _indent(line) < indent or (_opens_quote(line) and _sensitive_keys(line)):
            keys = _sensitive_keys(line)
            if keys:
                rest = line[keys[-1].end() :].strip()
                return not rest.startswith("!") and (
                    not rest or rest[0] in "|>&\"'[{" or not _HARMLESS.match(rest)
                )
            indent = min(indent, _indent(line))
            if indent == 0:
                return False
    return False


def _opens_quote(line: str) -> bool:
    return line.count('"') % 2 == 1 or line.count("'") % 2 == 1


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))
