"""How keys are fetched: from a file, or over HTTPS."""

import asyncio
import ssl

import httpx

from gateway.callers.claims import Issuer
from gateway.watchedfile import contents_of

# The largest JWKS, in bytes; real ones have some KiB.
BYTES_MAX = 256 * 1024

# For connecting and for each read, in seconds; whoever fetches bounds the whole.
_TIMEOUT_S = 5.0


async def fetch_keys(issuer: Issuer) -> bytes:
    """Return what is where an issuer's keys are. Raises OSError or ValueError that say why not.

    Without proxies, redirects and cookies: what says who may call comes from where the file says.
    """
    path = issuer.keys_file
    if path is not None:
        return await asyncio.to_thread(contents_of, path, BYTES_MAX)
    trusted = await asyncio.to_thread(ssl.create_default_context, cafile=issuer.ca)
    try:
        async with (
            httpx.AsyncClient(verify=trusted, timeout=_TIMEOUT_S, trust_env=False) as client,
            client.stream("GET", issuer.keys_at) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"it responds with {response.status_code}")
            data = b""
            async for part in response.aiter_bytes():
                data += part
                if len(data) > BYTES_MAX:
                    raise ValueError(f"it has more than {BYTES_MAX} bytes")
            return data
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OSError(str(error) or type(error).__name__) from None
