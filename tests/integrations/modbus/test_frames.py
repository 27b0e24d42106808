"""Only bytes that are exactly the answer to the question pass."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from integrations.modbus.frames import Question, crc16, question_of, rtu_fault, tcp_fault
from integrations.modbus.link import LinkAddress, Patience, ReadFailed, ReadRefused, lease
from tests.integrations.modbus.devices import liar, right_answer, says

TRANSACTION = st.integers(1, 0xFFFF)
QUESTIONS = st.builds(
    Question, st.integers(0, 255), st.sampled_from([3, 4]), st.integers(1, 125), TRANSACTION
)


def tcp_answer(question: Question) -> bytes:
    body = bytes([question.unit, question.function, 2 * question.count]) + bytes(2 * question.count)
    return question.transaction.to_bytes(2, "big") + b"\0\0" + len(body).to_bytes(2, "big") + body


def rtu_answer(question: Question) -> bytes:
    body = bytes([question.unit, question.function, 2 * question.count]) + bytes(2 * question.count)
    return body + crc16(body).to_bytes(2, "little")


@given(QUESTIONS)
def test_right_answer_passes_at_every_length_it_arrives_in(question: Question) -> None:
    for whole, fault in ((tcp_answer(question), tcp_fault), (rtu_answer(question), rtu_fault)):
        assert [fault(whole[:size], question) for size in range(len(whole) + 1)] == [None] * (len(whole) + 1)


@given(QUESTIONS, st.integers(0, 8), st.integers(1, 255))
def test_any_changed_byte_before_the_registers_is_noticed_or_not_an_answer(
    question: Question, at: int, change: int
) -> None:
    """Changed ids make it the answer to something else, which is waited past; the rest is a fault."""
    wrong = bytearray(tcp_answer(question))
    wrong[at] ^= change
    fault = tcp_fault(bytes(wrong), question)
    is_other_transaction = at < 2 and wrong[:2] != b"\0\0"
    is_exception = at == 7 and change == 0x80
    assert is_other_transaction or is_exception or fault is not None


@given(QUESTIONS, st.data())
def test_any_changed_byte_of_an_rtu_answer_is_a_fault(question: Question, data: st.DataObject) -> None:
    wrong = bytearray(rtu_answer(question))
    at = data.draw(st.integers(0, len(wrong) - 1))
    wrong[at] ^= data.draw(st.integers(1, 255))
    assert rtu_fault(bytes(wrong), question) is not None


@given(QUESTIONS, st.binary(max_size=300))
def test_garbage_never_raises(question: Question, garbage: bytes) -> None:
    for fault in (tcp_fault, rtu_fault):
        assert fault(garbage, question) is None or isinstance(fault(garbage, question), str)


@given(QUESTIONS, st.binary(min_size=8, max_size=64))
def test_answers_to_older_questions_may_stand_in_front(question: Question, more: bytes) -> None:
    older = Question(question.unit, question.function, question.count, question.transaction ^ 0x8000 or 1)
    assert tcp_fault(tcp_answer(older) + tcp_answer(question), question) is None


def test_checksum_of_the_specification() -> None:
    assert crc16(bytes.fromhex("0207")) == 0x1241  # Modbus over serial line 1.02, appendix B
    assert crc16(b"123456789") == 0x4B37


def test_question_is_read_from_the_packet() -> None:
    packet = bytes.fromhex("0007 0000 0006 11 04 0034 0002".replace(" ", ""))
    assert question_of(packet, rtu=False) == Question(0x11, 4, 2, 7)
    assert question_of(packet[6:] + b"\0\0", rtu=True) == Question(0x11, 4, 2, 0)


async def test_two_hundred_damaged_answers_bring_no_wrong_word() -> None:
    """Headers with flipped, cut, doubled and added bytes, by a fixed seed, over a real connection."""
    chance = random.Random(17)

    def damaged(request: bytes) -> bytes:
        answer = bytearray(right_answer(request, word=0x1234))
        for _ in range(chance.randint(1, 3)):
            answer[chance.randrange(9)] ^= chance.randint(1, 255)
        cut = chance.choice([len(answer), len(answer), len(answer), chance.randrange(len(answer))])
        return bytes(answer[:cut]) + bytes(
            chance.randrange(256) for _ in range(chance.choice([0, 0, 1, 300]))
        )

    outcomes: dict[str, int] = {}
    patience = Patience(timeout_s=0.01)
    async with liar(says(damaged)) as port, lease(LinkAddress("127.0.0.1", port)) as link:
        for _ in range(200):
            try:
                outcome = "right" if await link.read(1, "input", 0, 4, patience) == [0x1234] * 4 else "wrong"
            except (ReadFailed, ReadRefused) as error:
                outcome = type(error).__name__
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert outcomes["ReadFailed"] > 150
    assert "wrong" not in outcomes
