"""Code that the emulator cuts where a page ends is one piece again, so that a loop is recognised as one."""

from galen.backends.emulator.clock import joined, mended
from galen.backends.emulator.counters import Block

NOP = (0xD503201F).to_bytes(4, "little")


def back(instructions: int) -> bytes:
    """Return `b.ne` to that many instructions before it."""
    return (0x54000001 | ((-instructions & 0x7FFFF) << 5)).to_bytes(4, "little")


def test_a_loop_across_two_pages_is_one_block():
    loop = NOP * 3 + back(3)
    first, second = Block(0xFF8, loop[:8], 90), Block(0x1000, loop[8:], 100)
    entry = Block(0xFF4, NOP + loop[:8], 10)
    assert sorted(mended([first, second, entry])) == [
        Block(0xFF4, NOP + loop, 10),
        Block(0xFF8, loop, 90),
    ]


def test_instructions_stay_what_they_were():
    blocks = [Block(0xFF8, NOP * 2, 7), Block(0x1000, NOP + back(3), 9), Block(0x2000, NOP + back(1), 4)]
    counts = [sum(b.instructions * b.executions for b in some) for some in (blocks, joined(mended(blocks)))]
    assert counts[0] == counts[1]


def test_what_ends_in_a_branch_is_left_alone():
    blocks = [Block(0x100, NOP + back(1), 5), Block(0x108, NOP + back(1), 6)]
    assert mended(blocks) == blocks
