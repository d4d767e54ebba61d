"""The services that the protos declare."""

from conferencing.v1 import conference_service_pb2, event_service_pb2, queue_service_pb2

# Those whose RPCs are bound to operations of the provider.
COMMAND_SERVICES = (
    conference_service_pb2.DESCRIPTOR.services_by_name["ConferenceService"],
    queue_service_pb2.DESCRIPTOR.services_by_name["QueueService"],
)
EVENT_SERVICE = event_service_pb2.DESCRIPTOR.services_by_name["EventService"]
