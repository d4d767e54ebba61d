"""Which function carries out which operation, and where they are called."""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.sandbox import conferences, media, participants, queues, recordings
from gateway.sandbox.deliverylog import Delivery, DeliveryLog
from gateway.sandbox.idempotency import CommandMemory, Response
from gateway.sandbox.journal import Execution, Journal
from gateway.sandbox.operations import Operation
from gateway.sandbox.pages import page
from gateway.sandbox.validation import Arguments
from gateway.sandbox.world import World

# Returns the body of the response, or None for a response without one (status 204).
Handler = Callable[[World, Arguments], dict[str, Any] | None]

HANDLERS: Mapping[str, Handler] = {
    "calls.actions.enqueue": queues.put_in,
    "calls.actions.leave_queue": queues.take_out,
    "conferences.create": conferences.create,
    "conferences.list": conferences.listing,
    "conferences.retrieve": conferences.retrieve,
    "conferences.list_participants": participants.listing,
    "conferences.retrieve_participant": participants.retrieve,
    "conferences.update_participant": participants.update,
    "conferences.actions.update": participants.update_role,
    "conferences.actions.end_conference": conferences.end_conference,
    "conferences.actions.gather_dtmf_audio": media.gather,
    "conferences.actions.hold": participants.hold,
    "conferences.actions.join": conferences.join,
    "conferences.actions.leave": conferences.leave,
    "conferences.actions.mute": participants.mute,
    "conferences.actions.play": media.play,
    "conferences.actions.record_pause": recordings.pause,
    "conferences.actions.record_resume": recordings.resume,
    "conferences.actions.record_start": recordings.start,
    "conferences.actions.record_stop": recordings.stop,
    "conferences.actions.send_dtmf": media.send_dtmf,
    "conferences.actions.speak": media.speak,
    "conferences.actions.stop": media.stop,
    "conferences.actions.unhold": participants.unhold,
    "conferences.actions.unmute": participants.unmute,
    "queues.create": queues.create,
    "queues.list": queues.listing,
    "queues.retrieve": queues.retrieve,
    "queues.update": queues.update,
    "queues.delete": queues.delete,
    "queues.calls.list": queues.list_calls,
    "queues.calls.retrieve": queues.retrieve_call,
    "queues.calls.update": queues.update_call,
    "queues.calls.remove": queues.remove_call,
}


class Executor:
    """Carries out operations, each command id once, and keeps count.

    It never awaits: a command is either not begun or completely done.
    """

    def __init__(
        self, world: World, memory: CommandMemory, journal: Journal, log: DeliveryLog
    ) -> None:
        self._world = world
        self._memory = memory
        self._journal = journal
        self._log = log

    def execute(self, operation: Operation, arguments: Arguments) -> Response:
        """Return the response. Raises RefusedError if the state does not allow the operation."""
        if operation.id == "webhook_deliveries.list":
            entries = self._log.select(arguments.query)
            return Response(200, page(entries, arguments.query, Delivery.view))
        if operation.id == "webhook_deliveries.retrieve":
            return Response(200, {"data": self._log.get(arguments.path["id"]).view()})
        repeated = self._memory.recall(operation, arguments)
        if repeated is not None:
            return repeated
        body = HANDLERS[operation.id](self._world, arguments)
        response = Response(204 if body is None else 200, body)
        if operation.is_command:
            self._memory.remember(operation, arguments, response)
            self._journal.executions.append(
                Execution(
                    at=self._world.clock.now(),
                    operation=operation.id,
                    path=dict(arguments.path),
                    call_control_id=arguments.path.get(
                        "call_control_id", arguments.body.get("call_control_id")
                    ),
                    command_id=arguments.body.get("command_id"),
                    body=dict(arguments.body),
                )
            )
        return response
