"""All configuration error codes, one paragraph each: what it means, why it is refused, what to do next.

The numbers are stable: they are searched for, linked to and matched by programs. A number is never reused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class CodeText:
    """The offline explanation of one code."""

    title: str
    what: str
    why: str
    next: str

    def render(self, code: str) -> str:
        """The paragraph that ``wattline explain CODE`` prints."""
        return f"{code}: {self.title}\n\nWhat: {self.what}\nWhy: {self.why}\nNext: {self.next}\n"


def _table() -> dict[str, CodeText]:
    return {
        # files
        "WL-CFG-001": CodeText(
            "configuration not found",
            "The configuration directory or its hub.yaml does not exist.",
            "The hub never starts with an invented configuration, because it would look healthy and "
            "record nothing.",
            "Run `wattline init DIR` to make a starter directory, or name the right one with --config.",
        ),
        "WL-CFG-002": CodeText(
            "file cannot be read",
            "A file exists but cannot be opened, or it is a directory, a pipe or a device instead of a "
            "plain file.",
            "Permissions or the kind of file keep the hub from reading it.",
            "Check owner and mode with `ls -l`; the user that runs the hub needs the read permission.",
        ),
        "WL-CFG-003": CodeText(
            "file is too large",
            "A file is larger than 1 MiB, or all files together are larger than 4 MiB.",
            "A configuration is written by hand; such a size is an accident or an attack, and reading it "
            "would stall the hub.",
            "Split the file with `!include`, and keep data (readings, prices) out of the configuration.",
        ),
        "WL-CFG-004": CodeText(
            "file is blank",
            "A file holds nothing, or only comments.",
            "An empty file usually is the remains of a failed save; taking it as an empty configuration "
            "would switch everything off.",
            "Restore the content, write `{}` or `[]` for an intended empty one, or remove the include.",
        ),
        "WL-CFG-005": CodeText(
            "file is not UTF-8",
            "A byte sequence is not valid UTF-8.",
            "The file was saved in another encoding (Latin-1, UTF-16) or is damaged.",
            "Save the file as UTF-8 in your editor.",
        ),
        "WL-CFG-006": CodeText(
            "forbidden character",
            "The file or an escape in a quoted text holds a NUL, another control character or half of a "
            "surrogate pair.",
            "Such characters break logs, databases and file names, and cannot be seen in an editor.",
            "Remove the character; characters beyond U+FFFF are written directly or as \\UXXXXXXXX.",
        ),
        "WL-CFG-007": CodeText(
            "tab used for indentation",
            "A line is indented with a tab.",
            "YAML allows spaces only, because tabs have no agreed width.",
            "Replace the tab by spaces (two per level).",
        ),
        "WL-CFG-008": CodeText(
            "not valid YAML",
            "The text cannot be read as YAML from the marked place on.",
            "Common causes: a missing space after a colon, an unclosed quote or bracket, a wrong "
            "indentation, a text that "
            "starts with a special character.",
            "Look at the marked place and the line before it; put texts with special characters in quotes.",
        ),
        "WL-CFG-009": CodeText(
            "more than one document",
            "The file holds a second YAML document after `---`.",
            "Only one document per file can be meant; the others would be ignored silently.",
            "Move the second document to a file of its own and include it.",
        ),
        "WL-CFG-010": CodeText(
            "nested too deep",
            "Lists and mappings are nested more than 40 levels deep.",
            "No setting needs that depth; such a file is damaged or hostile.",
            "Check the brackets and the indentation around the marked place.",
        ),
        "WL-CFG-011": CodeText(
            "too many values",
            "The configuration holds more than 40,000 values or 1,000 aliases, repetitions by aliases "
            "and includes counted.",
            "Aliases of aliases grow without bound (a YAML bomb) and would fill the memory.",
            "Remove repeated aliases, or split the installation over several hubs.",
        ),
        "WL-CFG-012": CodeText(
            "alias without anchor",
            "An alias `*name` has no anchor `&name` before it in the same file, or lies inside its own "
            "anchor.",
            "Anchors are seen only after the place where they are defined, and only in their own file.",
            "Define the anchor earlier in the same file, or use `!include` for a shared part.",
        ),
        "WL-CFG-013": CodeText(
            "merge key is not a mapping",
            "`<<:` holds something else than a mapping or a list of mappings.",
            "Only keys and values can be merged into a mapping.",
            "Point the merge key at an alias of a mapping, such as `<<: *defaults`.",
        ),
        "WL-CFG-014": CodeText(
            "unknown or misused tag",
            "A tag (`!something`) is not one of !secret, !env_var, !include, !include_dir_merge_list, "
            "!include_dir_merge_named, or stands before something it cannot be used with.",
            "Tags of other programs would build objects or be ignored; both are unsafe.",
            "Use one of the known tags with a plain text after it, or put the text in quotes if `!` "
            "belongs to it.",
        ),
        "WL-CFG-015": CodeText(
            "duplicate key",
            "A key appears twice in the same mapping.",
            "One of the two values would be lost without a word.",
            "Keep one of them; a second entry of the same kind belongs into a list.",
        ),
        "WL-CFG-016": CodeText(
            "key is not a plain text",
            "A key is empty, a list, a mapping, carries a tag, or is a reserved name such as `__proto__`.",
            "Settings are found by name.",
            "Write the key as a simple word before the colon.",
        ),
        "WL-CFG-017": CodeText(
            "number is not usable",
            "A number is infinite, not a number, or has more than 18 digits before the point.",
            "Sums with such a number are meaningless.",
            "Write a finite number, or put quotes around it if it is a text such as a serial number.",
        ),
        "WL-CFG-018": CodeText(
            "YAML directive is not supported",
            "The file starts with a `%` directive other than `%YAML 1.2`.",
            "Older YAML versions read `NO`, `off` and `12:30` as something else than texts.",
            "Remove the directive line.",
        ),
        # values
        "WL-CFG-020": CodeText(
            "unknown key",
            "A key is not known at this place.",
            "A misspelt setting that is ignored silently looks as if it worked.",
            "Take the suggested key, or look the name up in the schema (`wattline schema`).",
        ),
        "WL-CFG-021": CodeText(
            "value is not one of the choices",
            "Only certain words are possible here and this is not one of them.",
            "The hub would have to guess what was meant.",
            "Take one of the listed values.",
        ),
        "WL-CFG-022": CodeText(
            "required key is missing",
            "A mapping lacks a key that it cannot do without.",
            "There is no sensible default for it.",
            "Add the key at the marked mapping.",
        ),
        "WL-CFG-023": CodeText(
            "wrong kind of value",
            "A text stands where a number is needed, a list where a mapping is needed, and so on.",
            "The value cannot be used as it is written.",
            "Write the expected kind; numbers in quotes are texts, `yes`, `no`, `on`, `off` are texts as "
            "well: use true and false.",
        ),
        "WL-CFG-024": CodeText(
            "value is not allowed",
            "The value is of the right kind but out of range, or malformed.",
            "The text of the error says which limit or form is missed.",
            "Correct the value.",
        ),
        "WL-CFG-025": CodeText(
            "not a duration",
            "A duration is not a number of seconds or a text such as `30s`, `5min`, `48h`, `90d`, `1h30m`.",
            "Without a known unit the hub cannot tell seconds from hours.",
            "Write number and unit; units are ms, s, min (or m), h, d, w.",
        ),
        "WL-CFG-026": CodeText(
            "not a size",
            "A size is not a number of bytes or a text such as `512kB`, `2MB`, `1GiB`.",
            "Without a known unit the hub cannot tell bytes from megabytes.",
            "Write number and unit; units are B, kB, MB, GB, TB and KiB, MiB, GiB, TiB.",
        ),
        "WL-CFG-027": CodeText(
            "unknown time zone",
            "The time zone is not a name of the IANA database.",
            "Days, months and bills follow the local clock; abbreviations such as CET do not say which "
            "summer time rule holds.",
            "Write a region and a city, such as Europe/Paris.",
        ),
        "WL-CFG-028": CodeText(
            "unknown currency or country",
            "The currency is not a three-letter ISO 4217 code, or the country not a two-letter ISO 3166 "
            "code.",
            "Names and signs are ambiguous ($ is used by many countries).",
            "Write a code such as EUR, or FR.",
        ),
        "WL-CFG-029": CodeText(
            "location is not a place",
            "The location is not a pair [latitude, longitude] in degrees.",
            "Latitude runs from -90 to 90, longitude from -180 to 180; the sun's position and forecasts "
            "follow from it.",
            "Write for instance [48.85, 2.35]; the latitude comes first.",
        ),
        "WL-CFG-030": CodeText(
            "not a network address",
            "A host, port, network (CIDR) or origin is malformed.",
            "The hub could not listen on it, connect to it or compare with it.",
            "Hosts are names or addresses without scheme; networks look like 192.168.1.0/24, origins "
            "like https://host:port.",
        ),
        "WL-CFG-031": CodeText(
            "not a storage address",
            "The storage url is neither `sqlite:///file` nor `postgresql://user:password@host/database`.",
            "The hub stores in SQLite or PostgreSQL only.",
            "Write `sqlite:///hub.db` for a file in the data directory, or a PostgreSQL url.",
        ),
        "WL-CFG-032": CodeText(
            "identifier is used twice",
            "Two entries of the same list have the same id.",
            "Readings, alerts and permissions find a thing by its id.",
            "Give each entry an id of its own.",
        ),
        "WL-CFG-033": CodeText(
            "broker would be open to the network",
            "The hub's own MQTT broker listens beyond loopback and has no users.",
            "Anybody in the network could send false readings.",
            "Add `mqtt_broker: users:` with a name and a password, or keep host 127.0.0.1.",
        ),
        "WL-CFG-034": CodeText(
            "site setting is missing (warning)",
            "The time zone or the currency of the site is not set, so UTC or EUR is taken.",
            "Days and bills would be right only by accident.",
            "Add `time_zone` and `currency` under `hub:`.",
        ),
        "WL-CFG-035": CodeText(
            "not an identifier",
            "An id is not made of a-z, 0-9, `-` and `_`, starting with a letter or digit, at most 64 "
            "characters.",
            "Ids appear in web addresses, topics and file names.",
            "Write a short id such as main-meter and put the full text under `name`.",
        ),
        # includes and packages
        "WL-CFG-040": CodeText(
            "include leaves the configuration directory",
            "An include is absolute, contains `..` or a backslash, or passes through a symbolic link.",
            "Only files inside the configuration directory are configuration; anything else could "
            "disclose other files.",
            "Copy the file into the configuration directory and include it by its relative path.",
        ),
        "WL-CFG-041": CodeText(
            "included file or directory is missing",
            "An include names something that does not exist.",
            "Leaving it out silently would switch off what it configures.",
            "Correct the path (it is relative to the file with the include), or create the file.",
        ),
        "WL-CFG-042": CodeText(
            "include goes in a circle",
            "A file includes itself, directly or through others.",
            "Reading it would never end.",
            "Remove one of the includes of the circle.",
        ),
        "WL-CFG-043": CodeText(
            "too many includes",
            "Includes are nested more than 10 levels deep, or more than 500 files are read.",
            "No installation needs that; it is an accident or an attack.",
            "Flatten the includes or merge small files.",
        ),
        "WL-CFG-045": CodeText(
            "included content has the wrong kind",
            "A file in a merged directory is not a list (merge_list) or not a mapping (merge_named), or "
            "a package or "
            "hub.yaml itself is not a mapping.",
            "Contents can be merged only with their own kind.",
            "Start each file of a merged list with `- `, each file of a merged mapping with `key:`.",
        ),
        "WL-CFG-046": CodeText(
            "two places set the same key",
            "Two packages, or a package and hub.yaml, or two merged files give different values for one key.",
            "The hub does not guess which one wins.",
            "Keep the key in one of the two named places.",
        ),
        # secrets and environment
        "WL-CFG-050": CodeText(
            "secret is missing",
            "A `!secret` names an entry that secrets.yaml does not have, or there is no secrets.yaml.",
            "Secrets live in one file beside hub.yaml.",
            "Add the entry to secrets.yaml, or use `wattline secrets set NAME`.",
        ),
        "WL-CFG-051": CodeText(
            "secrets file is readable by others",
            "The mode of secrets.yaml lets the group or everybody read or write it.",
            "Passwords in it would be open to every program on this machine.",
            "Run `chmod 600 secrets.yaml`.",
        ),
        "WL-CFG-052": CodeText(
            "secrets file has a wrong form",
            "secrets.yaml holds something else than `name: text` lines.",
            "A secret is one text; lists, mappings, empty values and tags are not possible there.",
            "Write one `name: text` per line.",
        ),
        "WL-CFG-053": CodeText(
            "environment variable is missing",
            "An `!env_var NAME` names a variable that is not set, and gives no default.",
            "The value has to come from somewhere.",
            "Set the variable for the process of the hub, or write a default: `!env_var NAME default`.",
        ),
        # integrations
        "WL-CFG-060": CodeText(
            "unknown integration",
            "No installed integration has this name.",
            "Its devices would stay silent.",
            "Take the suggested name, install the plugin that brings it, or remove the entry.",
        ),
        "WL-CFG-061": CodeText(
            "integration entry has the wrong form",
            "An entry of `integrations` is not a mapping with exactly one key, the name of the integration.",
            "The hub cannot tell which integration the options belong to.",
            "Write `- name: {options}`; the options are indented deeper than the name.",
        ),
        "WL-CFG-062": CodeText(
            "integration could not check its options",
            "The schema of an integration failed with an error of its own.",
            "This is a mistake in the integration, set off by the marked options.",
            "Report it to the author of the integration; other integrations are not affected.",
        ),
        # starter directory
        "WL-CFG-080": CodeText(
            "directory already has a configuration",
            "`wattline init` found hub.yaml, secrets.yaml or the schema file in the directory.",
            "It never overwrites what you wrote.",
            "Choose another directory, or move the existing files away first.",
        ),
        "WL-CFG-081": CodeText(
            "starter files cannot be written",
            "The directory cannot be made or written.",
            "Permissions, a full disk or a read-only file system prevent it.",
            "Check the path and the permissions of its parent directory.",
        ),
    }


CODES: Mapping[str, CodeText] = MappingProxyType(_table())
"""Every code of this package with its explanation, for ``wattline explain`` and the manual."""
