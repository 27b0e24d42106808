"""Query, form and body of a request → its parameters."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from urllib.parse import parse_qsl

from hub.plugins.api import PushRequest, Refused, epoch_ms

MAX_UNPACKED_BYTES = 8 << 20
"""Largest JSON that a compressed bulk may unpack to; IoTaWatt and emonHub send some 10 kB."""

_MAX_FIELDS = 100
_ROOTS = ("/emoncms/input/post", "/emoncms/input/bulk", "/emoncms/input/get")


def parameters_of(request: PushRequest) -> dict[str, str]:
    """All parameters; those of the form win. ``data`` of a compressed bulk comes unpacked.

    Forms that were not percent-encoded (IoTaWatt) read the same. A node in the path counts as ``node``.

    Raises:
        Refused: ``WL-ING-061`` too many parameters, not UTF-8, or a compression that does not unpack.
    """
    parameters = dict(request.query)
    node = _node_of_path(request.path)
    if node:
        parameters["node"] = node
    if _is_set(parameters, "cb"):
        parameters["data"] = _unpacked(request.body)
        return parameters
    parameters |= _form(request.body)
    if _is_set(parameters, "c"):
        try:
            packed = bytes.fromhex(parameters.get("data", ""))
        except ValueError as error:
            raise Refused(
                "WL-ING-061", "data is not hexadecimal although c=1 says so", where="data"
            ) from error
        parameters["data"] = _unpacked(packed)
    return parameters


def time_of(parameters: Mapping[str, str], name: str) -> int | None:
    """Epoch milliseconds of a time parameter, None where it is absent.

    Raises:
        Refused: ``WL-ING-030`` and its neighbours, where it is no time.
    """
    text = parameters.get(name, "").strip()
    if not text:
        return None
    number = number_of(text)
    return epoch_ms(text if number is None else number, where=name)


def number_of(text: str) -> float | None:
    """A plain decimal number, None for any other text: no ``nan``, no ``1_000``, no spaces."""
    if len(text) > 40 or not text.isascii() or "_" in text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number - number == 0 else None


def _is_set(parameters: Mapping[str, str], name: str) -> bool:
    return parameters.get(name, "0") not in ("", "0", "false")


def _form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("utf-8").strip(), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict"
        )
    except ValueError as error:
        raise Refused("WL-ING-061", "body is no form of UTF-8 text") from error
    return dict(pairs)


def _unpacked(packed: bytes) -> str:
    """zlib with a limit, so that a small body cannot fill the memory."""
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(packed, MAX_UNPACKED_BYTES)
        text = plain.decode("utf-8")
    except (zlib.error, UnicodeDecodeError) as error:
        raise Refused("WL-ING-061", "data does not unpack to UTF-8 text", where="data") from error
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise Refused("WL-ING-061", "compressed data is too large or cut off", where="data")
    return text


def _node_of_path(path: str) -> str:
    """``emontx`` of ``/emoncms/input/post/emontx.json``."""
    for root in _ROOTS:
        if path.startswith(root):
            return path.removeprefix(root).removeprefix(".json").strip("/").removesuffix(".json")
    return ""
