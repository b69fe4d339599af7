"""Clients in a process of their own, so that what they do is not measured: `python -m bench.clients PORT CLIENTS SECONDS`.

Each asks again and again what stands in standard input, on a new connection, and prints the status of each answer.
"""

import asyncio
import sys
from time import monotonic


async def ask(port: int, clients: int, seconds: float, request: bytes) -> None:
    end = monotonic() + seconds

    async def client() -> None:
        while monotonic() < end:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            answer = await reader.read()
            sys.stdout.write(f"{answer.split()[1].decode()}\n")
            writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))


if __name__ == "__main__":
    asyncio.run(ask(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.stdin.buffer.read()))
