"""A simulated Telnyx voice-conferencing provider, to develop and test against.

It is a server of its own that speaks the provider's REST API, posts signed webhooks, misbehaves on
demand, and keeps a journal. Nothing outside this package knows that it is not the real thing.
"""

from gateway.sandbox.control import ControlError, SandboxCall, SandboxControl
from gateway.sandbox.faults import RequestFault, WebhookFault
from gateway.sandbox.journal import Execution, RecordedRequest
from gateway.sandbox.server import RunningSandbox, SandboxServer, serve_forever
from gateway.sandbox.settings import SandboxSettings

__all__ = [
    "ControlError",
    "Execution",
    "RecordedRequest",
    "RequestFault",
    "RunningSandbox",
    "SandboxCall",
    "SandboxControl",
    "SandboxServer",
    "SandboxSettings",
    "WebhookFault",
    "serve_forever",
]
