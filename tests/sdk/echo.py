"""A WebSocket origin: sends every message back, and ends with code 4001 when it is told `bye`.

Prints `ready listen=http://127.0.0.1:PORT` once it accepts. Ends with SIGTERM.
"""
import asyncio
import signal

from websockets.asyncio.server import serve


async def echo(connection):
    async for message in connection:
        if message == "bye":
            await connection.close(4001, "as you wish")
            return
        await connection.send(message)


async def main():
    stop = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
    async with serve(echo, "127.0.0.1", 0, subprotocols=["echo.v1"], max_size=16 << 20) as server:
        print(f"ready listen=http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await stop


asyncio.run(main())
