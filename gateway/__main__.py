"""`python -m gateway`: the same as `telnyx-gateway`."""

from gateway.cli import main

main()
