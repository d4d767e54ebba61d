"""The version of the installed package."""

from importlib.metadata import PackageNotFoundError, version


def gateway_version() -> str:
    """Return the version of the installed package."""
    try:
        return version("telnyx-grpc-gateway")
    except PackageNotFoundError:
        return "0+unknown"
