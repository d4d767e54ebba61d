"""A client of a gateway in a network of its own: asks, posts, subscribes, and prints what came.

`python -m tests.deploy.visitor GRPC HTTP SERVICE [until-drained]`: addresses, the service whose
health a probe asks for, and whether to keep the stream until the gateway ends it.
"""

import json
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from conferencing.v1.event_service_pb2 import POSITION_EARLIEST, SubscribeRequest
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from tests.harness.webhooks import Poster, Signer


def tell(**said: object) -> None:
    print(json.dumps(said), flush=True)


def main(grpc_address: str, http_address: str, service: str, *wishes: str) -> None:
    with grpc.insecure_channel(grpc_address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        status = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=20).status
        tell(health=health_pb2.HealthCheckResponse.ServingStatus.Name(status))
        tell(stored=Poster(http_address, Signer()).event())
        stream = EventServiceStub(channel).Subscribe(SubscribeRequest(position=POSITION_EARLIEST))
        for response in stream:
            for event in response.events:
                tell(event=event.id)
                if not wishes:
                    return
            if response.HasField("drain"):
                tell(drained=response.cursor != "")
        tell(ended=stream.code().name)


if __name__ == "__main__":
    main(*sys.argv[1:])
