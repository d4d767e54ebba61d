"""Pages that a gateway or another server shows over HTTP."""

import http.client


def http_get(address: str, path: str, accept: str = "*/*") -> tuple[int, str]:
    """Return the status of a page and its text."""
    connection = http.client.HTTPConnection(address, timeout=20)
    try:
        connection.request("GET", path, headers={"accept": accept})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()
