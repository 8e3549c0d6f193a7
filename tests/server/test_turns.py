"""A client with many requests delays no other."""

import asyncio

from edgesearch.server.turns import AT_ONCE, Turns


def test_another_client_begins_among_the_first() -> None:
    async def visit() -> None:
        turns, begun = Turns(), list[str]()

        async def ask(client: str) -> None:
            assert await turns.wait(client)
            begun.append(client)

        await asyncio.gather(*(ask("10.0.0.1") for _ in range(100)), ask("10.0.0.2"))
        assert begun.index("10.0.0.2") <= AT_ONCE
        assert len(begun) == 101 and not turns._lines

    asyncio.run(visit())


def test_requests_of_clients_that_left_or_were_cancelled_take_no_turn() -> None:
    async def visit() -> None:
        turns, left = Turns(), asyncio.Event()
        asked = [asyncio.create_task(turns.wait("10.0.0.1", left)) for _ in range(AT_ONCE + 20)]
        last = asyncio.create_task(turns.wait("10.0.0.1"))
        asked[-1].cancel()
        left.set()
        assert await last
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert found.count(True) == AT_ONCE and found.count(False) == 19

    asyncio.run(visit())
