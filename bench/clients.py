"""Clients in a process of their own, so that their work is not measured: `python -m bench.clients PORT CLIENTS SECONDS`.

Each sends the request in standard input again and again, on a new connection, and prints the status of each response.
"""

import asyncio
import sys
from time import monotonic


async def send(port: int, clients: int, seconds: float, request: bytes) -> None:
    end = monotonic() + seconds

    async def client() -> None:
        while monotonic() < end:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            response = await reader.read()
            sys.stdout.write(f"{response.split()[1].decode()}\n")
            writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))


if __name__ == "__main__":
    asyncio.run(send(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.stdin.buffer.read()))
