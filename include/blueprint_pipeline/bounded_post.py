"""Posts to a receiver of messages, with one clock for the whole call."""

import asyncio

import httpx


def post(url: str, body: bytes, headers: dict[str, str], *, limit_s: float, proxy: str | None = None) -> httpx.Response:
    """Status and headers of the answer to one call; its body is not read, and no redirection followed.

    The call has a loop of its own, which does not wait for a name that is still being looked up, as ``asyncio.run`` would.

    Args:
        url: The receiver.
        body: What is posted.
        headers: Of the call.
        limit_s: For all of it [s], from the look-up of the name to the last header of the answer.
        proxy: Over which the receiver is reached.

    Raises:
        TimeoutError: There was no answer within the limit.
        httpx.TransportError: The receiver could not be reached, or gave no HTTP.
        httpx.InvalidURL, ValueError: The address, the proxy or a header cannot be used.
    """
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(_post(url, body, headers, limit_s, proxy))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _post(url: str, body: bytes, headers: dict[str, str], limit_s: float, proxy: str | None) -> httpx.Response:
    """One clock: httpx's own timeouts begin anew with every byte."""
    async with (
        asyncio.timeout(limit_s),
        httpx.AsyncClient(timeout=limit_s, follow_redirects=False, proxy=proxy) as client,
        client.stream("POST", url, content=body, headers=headers) as response,
    ):
        return response
