"""The configuration directory as one tree: includes, secrets, environment and packages resolved.

Nothing here knows what the settings mean. Every problem is collected; a part that cannot be had becomes a
:class:`~hub.config.nodes.BrokenNode`, so that the rest can still be checked and, in safe mode, used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Literal

from hub.config.errors import ConfigProblem, in_order, one_line
from hub.config.files import SECRETS_FILE, Directory, FileProblem, SourceFile, relative_name
from hub.config.masking import Mask
from hub.config.nearest import did_you_mean
from hub.config.nodes import BrokenNode, Entry, MappingNode, Node, Position, ScalarNode, SequenceNode
from hub.config.parsing import Budget, Text, Unreadable, core_scalar, parse, tag_hint
from hub.config.salvage import Part, blocks_of, entries_of
from hub.config.secret import Secret, is_sensitive_key

MAIN_FILE: Final = "hub.yaml"
MAX_INCLUDE_DEPTH: Final = 10
MAX_PROBLEMS: Final = 200
_RAW_CHARS: Final = 2000
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One file that took part: relative name and SHA-256 of its bytes (secrets.yaml is never among them)."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Tree:
    """What the files say. ``root`` is None where hub.yaml gives nothing usable at all."""

    root: MappingNode | None
    sources: tuple[SourceRecord, ...]


class Reader:
    """Reads one directory once; afterwards :meth:`finished` gives all findings."""

    def __init__(
        self,
        directory: str | os.PathLike[str],
        environ: Mapping[str, str] | None = None,
        *,
        main_file: str = MAIN_FILE,
    ) -> None:
        self.directory = os.fspath(directory)
        self.main_file = main_file
        self.mask = Mask()
        self._found: list[ConfigProblem] = []
        self._files = Directory(directory)
        self._environ = os.environ if environ is None else environ
        self._texts: dict[str, Text] = {}
        self._nodes: dict[str, Node] = {}
        self._lines: dict[str, list[str]] = {}
        self._budget = Budget()
        self._including: list[str] = []
        self._secrets: dict[str, Secret] | None = None

    def read(self) -> Tree:
        """Read the main file and everything it names."""
        self._load_secrets()
        root = self._main()
        if root is not None:
            root = self._with_packages(root)
            self._learn_literals(root)
        sources = (SourceRecord(file.name, file.sha256) for file in self._files.read.values())
        kept = sorted(
            (source for source in sources if source.name != SECRETS_FILE), key=lambda source: source.name
        )
        return Tree(root, tuple(kept))

    # reporting

    def report(
        self,
        code: str,
        at: Position,
        message: str,
        hint: str = "",
        *,
        severity: Literal["error", "warning"] = "error",
    ) -> None:
        """Add one finding as it is; at most 200 are kept. :meth:`finished` masks and quotes the source."""
        if len(self._found) < MAX_PROBLEMS:
            self._found.append(
                ConfigProblem(
                    file=at.file,
                    line=at.line,
                    column=at.column,
                    code=code,
                    message=message[:_RAW_CHARS],
                    hint=hint[:_RAW_CHARS],
                    severity=severity,
                    width=at.width,
                )
            )

    def finished(self) -> tuple[ConfigProblem, ...]:
        """All findings in order of place, each once, safe to show. Call it when everything has been read:
        only then are all secrets known that must not appear."""
        return tuple(self._shown(problem) for problem in in_order(self._found))

    def _shown(self, problem: ConfigProblem) -> ConfigProblem:
        lines = self._source_lines(problem.file)
        start, width = self.mask.span(lines, problem.line, problem.column - 1, problem.width)
        return replace(
            problem,
            # Masked before it is shortened, or half a secret could stay.
            message=one_line(self.mask.text(problem.message)),
            hint=one_line(self.mask.text(problem.hint)),
            excerpt=self.mask.line(lines, problem.line),
            before=self.mask.line(lines, problem.line - 1),
            caret=(start, width),
        )

    def _source_lines(self, file: str) -> list[str]:
        if file == SECRETS_FILE or file not in self._texts:
            return []
        if file not in self._lines:
            self._lines[file] = self._texts[file].lines
        return self._lines[file]

    def _report_file(self, problem: FileProblem, file: str, asked_at: Position | None) -> None:
        """A problem inside a file is shown there, one about having the file where it was asked for."""
        inside = Position(file, problem.line, problem.column)
        at = asked_at if asked_at and not problem.line else inside
        named = f"{file}: " if asked_at and not problem.line else ""
        self.report(problem.code, at, named + problem.message, problem.hint)

    # files

    def _main(self) -> MappingNode | None:
        if not os.path.isdir(self.directory):
            self._missing(f"there is no configuration directory {self.directory}")
            return None
        try:
            source = self._files.load(self.main_file, follow_link=True)
        except FileProblem as problem:
            if problem.code == "WL-CFG-041":
                self._missing(f"there is no {self.main_file} in {self.directory}")
            else:
                self._report_file(problem, self.main_file, None)
            return None
        node = self._parsed(source)
        if isinstance(node, MappingNode):
            return node
        if not isinstance(node, BrokenNode):
            message = f"{self.main_file} has to be a mapping of sections such as `hub:`"
            self.report("WL-CFG-045", node.at, message)
        return None

    def _missing(self, message: str) -> None:
        hint = "run `wattline init DIR`, or name the right directory with --config"
        self.report("WL-CFG-001", Position(self.main_file, 0, 0), message, hint)

    def _parsed(self, source: SourceFile) -> Node:
        """The tree of one file; parts of a file that is not valid YAML are kept where they can be told apart."""
        text = self._texts.setdefault(source.name, Text(source.name, source.text))
        start = Position(source.name, 1, 1)
        try:
            node = parse(text, self.report, self._tag, self._budget)
        except Unreadable:
            return self._salvaged(text) or BrokenNode(start)
        if node is None or (isinstance(node, ScalarNode) and node.value is None and not node.text):
            hint = "write `{}` or `[]` if an empty one is meant"
            self.report("WL-CFG-004", start, "the file is blank", hint)
            return BrokenNode(start)
        return node

    def _salvaged(self, text: Text) -> Node | None:
        """What can be read of a broken file, section by section; a section that cannot is a broken value."""
        found = MappingNode(Position(text.file, 1, 1))
        for block in blocks_of(text.text):
            at = text.at(block.start, block.start + len(block.key))
            node = self._quietly(Text(text.file, block.part.text, block.part.lines_before))
            value = node.entries.get(block.key) if isinstance(node, MappingNode) else None
            entry = (
                Entry(at, self._salvaged_items(text, block.items) or BrokenNode(at))
                if value is None
                else value
            )
            if block.key not in found.entries:
                found.entries[block.key] = entry
        return found if found.entries else self._salvaged_items(text, entries_of(text.text))

    def _salvaged_items(self, text: Text, items: tuple[Part, ...]) -> SequenceNode | None:
        kept = SequenceNode(Position(text.file, 1, 1))
        for item in items:
            node = self._quietly(Text(text.file, item.text, item.lines_before))
            if isinstance(node, SequenceNode):
                kept.items += node.items
            else:
                kept.items.append(BrokenNode(kept.at))
        return kept if any(not isinstance(item, BrokenNode) for item in kept.items) else None

    def _quietly(self, text: Text) -> Node | None:
        """Parse a part of a file whose real error is reported already: errors of syntax are not repeated."""

        def report(code: str, at: Position, message: str, hint: str = "") -> None:
            if code not in ("WL-CFG-007", "WL-CFG-008", "WL-CFG-010", "WL-CFG-012"):
                self.report(code, at, message, hint)

        try:
            return parse(text, report, self._tag, self._budget)
        except Unreadable:
            return None

    # tags

    def _tag(self, tag: str, text: str, at: Position) -> Node:
        text = text.strip()
        match tag:
            case "!secret":
                return self._secret(text, at)
            case "!env_var":
                return self._env_var(text, at)
            case "!include":
                return self._include(text, at)
            case "!include_dir_merge_list":
                return self._merged_list(text, at)
            case "!include_dir_merge_named":
                return self._merged_named(text, at)
        self.report("WL-CFG-014", at, f"tag {tag} is not known", tag_hint(tag))
        return BrokenNode(at)

    def _secret(self, name: str, at: Position) -> Node:
        if at.file == SECRETS_FILE:
            self.report("WL-CFG-052", at, "a secret cannot point at another secret")
            return BrokenNode(at)
        if self._secrets is None:
            return BrokenNode(at)
        if name in self._secrets:
            return ScalarNode(self._secrets[name], at, name)
        hint = did_you_mean(name, self._secrets, f"add it to {SECRETS_FILE}")
        self.report("WL-CFG-050", at, f'secret "{name}" is not in {SECRETS_FILE}', hint)
        return BrokenNode(at)

    def _env_var(self, text: str, at: Position) -> Node:
        name, _, default = text.partition(" ")
        default = default.strip()
        if not _ENV_NAME.match(name):
            self.report(
                "WL-CFG-014", at, "!env_var needs the name of a variable", "write `!env_var NAME default`"
            )
            return BrokenNode(at)
        value = self._environ.get(name)
        if value is None and not default:
            self.report(
                "WL-CFG-053",
                at,
                f"environment variable {name} is not set",
                f"write `!env_var {name} default`",
            )
            return BrokenNode(at)
        shown = default if value is None else value
        if is_sensitive_key(name):
            secret = shown if value is not None else _unquoted(default)
            self.mask.learn(secret)
            return ScalarNode(Secret(secret), at, name)
        if _CONTROL.search(shown):
            self.report("WL-CFG-006", at, f"environment variable {name} holds a control character")
            return BrokenNode(at)
        try:
            quoted = value is None and _unquoted(default) != default
            return ScalarNode(_unquoted(default) if quoted else core_scalar(shown), at, shown)
        except ValueError as error:
            self.report("WL-CFG-017", at, f"environment variable {name}: {error}")
            return BrokenNode(at)

    def _include(self, wanted: str, at: Position) -> Node:
        try:
            name = relative_name(at.file, wanted)
            if name == SECRETS_FILE:
                raise FileProblem("WL-CFG-040", "the secrets file cannot be included", "use `!secret NAME`")
            return self._included(name, at)
        except FileProblem as problem:
            self.report(problem.code, at, f"{wanted}: {problem.message}", problem.hint)
            return BrokenNode(at)

    def _included(self, name: str, at: Position) -> Node:
        with self._entering(name, at) as allowed:
            if not allowed:
                return BrokenNode(at)
            try:
                source = self._files.load(name)
            except FileProblem as problem:
                self._report_file(problem, name, at)
                return BrokenNode(at)
            first = name not in self._nodes
            if first:
                self._nodes[name] = self._parsed(source)
            node = self._nodes[name]
            # The values were counted while parsing; whoever places the tree counts them again.
            if first:
                self._budget.nodes += node.size
            return node

    @contextmanager
    def _entering(self, name: str, at: Position) -> Iterator[bool]:
        chain = [MAIN_FILE, *self._including]
        if name in chain:
            circle = " → ".join([*chain[chain.index(name) :], name])
            self.report("WL-CFG-042", at, f"the include goes in a circle: {circle}", "remove one of them")
            yield False
        elif len(chain) > MAX_INCLUDE_DEPTH:
            self.report("WL-CFG-043", at, f"includes are nested more than {MAX_INCLUDE_DEPTH} levels deep")
            yield False
        else:
            self._including.append(name)
            try:
                yield True
            finally:
                self._including.pop()

    def _directory_files(self, wanted: str, at: Position) -> list[str] | None:
        try:
            return self._files.yaml_names(relative_name(at.file, wanted))
        except FileProblem as problem:
            self.report(problem.code, at, f"{wanted}: {problem.message}", problem.hint)
            return None

    def _merged_list(self, wanted: str, at: Position) -> Node:
        names = self._directory_files(wanted, at)
        if names is None:
            return BrokenNode(at)
        merged = SequenceNode(at)
        for name in names:
            node = self._included(name, at)
            if isinstance(node, SequenceNode):
                merged.items += node.items
                merged.size += node.size
                continue
            if not isinstance(node, BrokenNode):
                self.report("WL-CFG-045", node.at, "this file has to be a list", "start each entry with `- `")
            merged.items.append(BrokenNode(at))
        return merged

    def _merged_named(self, wanted: str, at: Position) -> Node:
        names = self._directory_files(wanted, at)
        if names is None:
            return BrokenNode(at)
        merged = MappingNode(at)
        for name in names:
            node = self._included(name, at)
            if isinstance(node, MappingNode):
                merged = self._joined(merged, node)
                continue
            if not isinstance(node, BrokenNode):
                self.report("WL-CFG-045", node.at, "this file has to be a mapping", "start it with `key:`")
            merged.entries[f" {name}"] = Entry(at, BrokenNode(at))
        return merged

    # packages

    def _with_packages(self, root: MappingNode) -> MappingNode:
        """``packages:`` folded into the sections: lists are appended, mappings merged, the rest is an error."""
        entry = root.entries.get("packages")
        if entry is None:
            return root
        result = MappingNode(
            root.at, {key: kept for key, kept in root.entries.items() if key != "packages"}, root.size
        )
        if isinstance(entry.node, BrokenNode):
            return result
        if not isinstance(entry.node, MappingNode):
            self.report("WL-CFG-045", entry.key_at, "packages has to be a mapping of name and content")
            return result
        for name, package in entry.node.entries.items():
            if isinstance(package.node, MappingNode):
                if "packages" in package.node.entries:
                    at = package.node.entries["packages"].key_at
                    self.report("WL-CFG-045", at, "a package cannot hold packages")
                result = self._joined(result, _without(package.node, "packages"))
            elif not isinstance(package.node, BrokenNode):
                self.report("WL-CFG-045", package.key_at, f'package "{name}" has to be a mapping of sections')
        return result

    def _joined(self, first: MappingNode, second: MappingNode) -> MappingNode:
        """Both mappings in a new one (trees are shared by aliases and must not be changed)."""
        joined = MappingNode(first.at, dict(first.entries), first.size + second.size)
        for key, entry in second.entries.items():
            present = joined.entries.get(key)
            joined.entries[key] = entry if present is None else self._joined_entry(key, present, entry)
        return joined

    def _joined_entry(self, key: str, first: Entry, second: Entry) -> Entry:
        match first.node, second.node:
            case MappingNode() as one, MappingNode() as other:
                return Entry(first.key_at, self._joined(one, other))
            case SequenceNode() as one, SequenceNode() as other:
                both = SequenceNode(one.at, [*one.items, *other.items], one.size + other.size)
                return Entry(first.key_at, both)
            case BrokenNode(), _:
                return second
            case _, BrokenNode():
                return first
        message = f'key "{key}" is set at {first.key_at.file}:{first.key_at.line} and again here'
        self.report("WL-CFG-046", second.key_at, message, "keep it in one of the two places")
        return first

    # secrets

    def _load_secrets(self) -> None:
        try:
            source = self._files.load(SECRETS_FILE, follow_link=True, private=True)
        except FileProblem as problem:
            if problem.code == "WL-CFG-041" and not problem.line:
                self._secrets = {}
            else:
                self._report_file(problem, SECRETS_FILE, None)
            return
        text = self._texts.setdefault(SECRETS_FILE, Text(SECRETS_FILE, source.text))
        try:
            node = parse(text, self.report, self._tag_in_secrets, self._budget)
        except Unreadable:
            return
        self._secrets = {}
        if node is None or (isinstance(node, ScalarNode) and node.value is None and not node.text):
            return
        if not isinstance(node, MappingNode):
            self.report("WL-CFG-052", node.at, f"{SECRETS_FILE} has to be lines of `name: text`")
            return
        for name, entry in node.entries.items():
            self._learn_secret(self._secrets, name, entry)

    def _learn_secret(self, secrets: dict[str, Secret], name: str, entry: Entry) -> None:
        if isinstance(entry.node, BrokenNode):
            return
        if not isinstance(entry.node, ScalarNode) or not entry.node.text:
            self.report("WL-CFG-052", entry.key_at, f'secret "{name}" has to be one text that is not empty')
            return
        self.mask.learn(entry.node.text)
        secrets[name] = Secret(entry.node.text)

    def _tag_in_secrets(self, tag: str, text: str, at: Position) -> Node:
        self.report("WL-CFG-052", at, f"tags are not possible in {SECRETS_FILE}", "write the text itself")
        return BrokenNode(at)

    def _learn_literals(self, node: Node, key: str = "") -> None:
        """Secrets written in the open are masked in messages too."""
        match node:
            case MappingNode():
                for name, entry in node.entries.items():
                    self._learn_literals(entry.node, name)
            case SequenceNode():
                for item in node.items:
                    self._learn_literals(item, key)
            case ScalarNode(value=value) if key and is_sensitive_key(key) and not isinstance(value, Secret):
                self.mask.learn_literal(node.text)


def _without(node: MappingNode, key: str) -> MappingNode:
    return MappingNode(
        node.at, {name: entry for name, entry in node.entries.items() if name != key}, node.size
    )


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'" else text
