"""Is this answer the answer to that question? Strict checks of received bytes, before anything decodes them.

Devices and gateways send late answers, answers of other units, wrong lengths and plain garbage. Whatever does
not fit the request byte for byte is a fault, and the connection it came from is not used again. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

_EXCEPTION = 0x80
_MBAP_BYTES = 6  # transaction, protocol and length; the length counts what follows


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked: ``count`` registers of ``unit`` by ``function`` (3 or 4)."""

    unit: int
    function: int
    count: int
    transaction: int = 0


def question_of(packet: bytes, *, rtu: bool) -> Question:
    """The question in a read request that is about to be sent."""
    transaction = 0 if rtu else int.from_bytes(packet[:2], "big")
    pdu = packet if rtu else packet[_MBAP_BYTES:]
    return Question(pdu[0], pdu[1], int.from_bytes(pdu[4:6], "big"), transaction)


def tcp_fault(received: bytes, question: Question) -> str | None:
    """What is wrong with the bytes received so far; None while they may still become the answer.

    Whole answers to earlier questions (another transaction id) may stand in front: a slow device sends them
    after our patience ended.
    """
    at = 0
    while len(received) - at >= _MBAP_BYTES:
        transaction = int.from_bytes(received[at : at + 2], "big")
        length = int.from_bytes(received[at + 4 : at + 6], "big")
        if received[at + 2 : at + 4] != b"\x00\x00":
            return "the protocol id is not 0"
        if not 2 <= length <= 254:
            return f"the length field says {length}"
        body = received[at + _MBAP_BYTES : at + _MBAP_BYTES + length]
        if transaction == question.transaction:
            return _body_fault(body, question) or _length_fault(length, body, question)
        if transaction == 0:
            return "the transaction id is missing"
        at += _MBAP_BYTES + length
    return None


def rtu_fault(received: bytes, question: Question) -> str | None:
    """As :func:`tcp_fault` for RTU frames, which have a checksum but no transaction id."""
    fault = _body_fault(received, question)
    if fault or len(received) < 2:
        return fault
    size = 5 if received[1] & _EXCEPTION else 5 + 2 * question.count
    if len(received) > size:
        return f"{len(received) - size} bytes too many"
    if len(received) == size and crc16(received[:-2]) != int.from_bytes(received[-2:], "little"):
        return "the checksum is wrong"
    return None


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS (polynomial 0xA001 reflected, start 0xFFFF)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def _body_fault(body: bytes, question: Question) -> str | None:
    """Unit, function and byte count, as far as they have arrived."""
    if len(body) >= 1 and body[0] != question.unit:
        return f"unit {body[0]} answered instead of {question.unit}"
    if len(body) >= 2 and body[1] & ~_EXCEPTION != question.function:
        return f"function {body[1]} answered instead of {question.function}"
    if len(body) >= 3 and not body[1] & _EXCEPTION and body[2] != 2 * question.count:
        return f"{body[2]} bytes of registers came instead of {2 * question.count}"
    return None


def _length_fault(length: int, body: bytes, question: Question) -> str | None:
    if len(body) < 2:
        return None
    # Exception answers are accepted with a length of 2 as well: devices exist that count wrongly there.
    right = (2, 3) if body[1] & _EXCEPTION else (3 + 2 * question.count,)
    return None if length in right else f"the length field says {length} instead of {right[-1]}"
