"""A program that does next to nothing, on the machine of the gateway: what it takes is the machine.

For each line it writes a page to the disk and answers. On a shared machine of two cores the answer
is late now and then, by other programs, by the disk, by the attackers' own use of the processor;
what a gateway is late beyond that is its own. Run as `python -m tests.hostile.neighbour FILE`.
"""

import asyncio
import os
import sys

PAGE = bytes(4_096)


async def serve(path: str) -> None:
    file = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)

    def write() -> None:
        os.pwrite(file, PAGE, 0)
        os.fsync(file)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            await asyncio.to_thread(write)
            writer.write(line)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
