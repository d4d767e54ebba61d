"""What tests ask a gateway for, and the errors that its provider responds with."""

from typing import Any

import grpc

from conferencing.v1 import conference_service_pb2, queue_service_pb2

Code = grpc.StatusCode

JOIN = conference_service_pb2.JoinConferenceRequest(
    conference_id="c1", call_control_id="v3:a", command_id="cmd-1"
)
PLAY = conference_service_pb2.PlayAudioRequest(conference_id="c1", media_name="m")
GET_QUEUE = queue_service_pb2.GetQueueRequest(queue_name="support")
CREATE = conference_service_pb2.CreateConferenceRequest(call_control_id="v3:a", name="n")
DELETE_QUEUE = queue_service_pb2.DeleteQueueRequest(queue_name="support")


def errors(*entries: dict[str, Any]) -> dict[str, Any]:
    """Return a provider's error body."""
    return {"errors": list(entries)}
