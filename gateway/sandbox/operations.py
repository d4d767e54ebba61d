"""Every operation of the sandbox: its route, its parameters, whether it changes anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.sandbox.parameters import Parameter
from gateway.sandbox.voices import VOICE_SETTINGS

P = Parameter


@dataclass(frozen=True, slots=True)
class Operation:
    """One REST operation, named as in the provider's client library."""

    id: str
    method: str
    path: str
    """Below ``/v2``, with ``{placeholders}``."""
    body: tuple[Parameter, ...] = ()
    query: tuple[Parameter, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether executing it changes anything."""
        return self.method != "GET"

    @property
    def takes_command_id(self) -> bool:
        """Whether a repeat within a minute is recognised and not executed again."""
        return any(one.name == "command_id" for one in self.body)


BEEP: Final = P("beep_enabled", choices=("always", "never", "on_enter", "on_exit"))
REGION: Final = P("region", choices=("Australia", "Europe", "Middle East", "US"))
ROLES: Final = ("barge", "monitor", "none", "whisper")
CALL: Final = P("call_control_id", required=True)
CALLS: Final = P("call_control_ids", "strings")
COMMAND: Final = P("command_id")
STATE: Final = P("client_state", form="base64")
RECORDING: Final = P("recording_id")
PAGE: Final = (
    P("page[number]", "integer", minimum=1),
    P("page[size]", "integer", minimum=1, maximum=250),
)
AUDIO: Final = (P("audio_url"), P("media_name"))
LANGUAGES: Final = (
    "arb cmn-CN cy-GB da-DK de-DE en-AU en-GB en-GB-WLS en-IN en-US es-ES es-MX es-US fr-CA fr-FR "
    "hi-IN is-IS it-IT ja-JP ko-KR nb-NO nl-NL pl-PL pt-BR pt-PT ro-RO ru-RU sv-SE tr-TR"
)

CONFERENCE_FILTERS: Final = (
    P("filter[application_name][contains]", minimum=3),
    P("filter[application_session_id]"),
    P("filter[connection_id]"),
    P("filter[failed]", "boolean"),
    P("filter[from]"),
    P("filter[leg_id]"),
    P("filter[name]"),
    P("filter[occurred_at][eq]", form="time"),
    P("filter[occurred_at][gt]", form="time"),
    P("filter[occurred_at][gte]", form="time"),
    P("filter[occurred_at][lt]", form="time"),
    P("filter[occurred_at][lte]", form="time"),
    P("filter[outbound.outbound_voice_profile_id]"),
    P("filter[product]", choices=("call_control", "fax", "texml")),
    P("filter[status]", choices=("init", "in_progress", "completed")),
    P("filter[to]"),
    P("filter[type]", choices=("command", "webhook")),
)

DELIVERY_FILTERS: Final = (
    P("filter[attempts][contains]"),
    P("filter[event_type]"),
    P("filter[finished_at][gte]", form="time"),
    P("filter[finished_at][lte]", form="time"),
    P("filter[started_at][gte]", form="time"),
    P("filter[started_at][lte]", form="time"),
    P("filter[status][eq]", choices=("delivered", "failed")),
    P("filter[webhook][contains]"),
)


def _action(name: str, method: str, *body: Parameter) -> Operation:
    return Operation(
        f"conferences.actions.{method}", "POST", f"/conferences/{{id}}/actions/{name}", body
    )


CALL_OPERATIONS: Final = (
    Operation(
        "calls.actions.enqueue",
        "POST",
        "/calls/{call_control_id}/actions/enqueue",
        (
            P("queue_name", required=True, minimum=1, maximum=255),
            STATE,
            COMMAND,
            P("keep_after_hangup", "boolean"),
            P("max_size", "integer", minimum=1),
            P("max_wait_time_secs", "integer", minimum=1),
        ),
    ),
    Operation(
        "calls.actions.leave_queue",
        "POST",
        "/calls/{call_control_id}/actions/leave_queue",
        (STATE, COMMAND),
    ),
)

CONFERENCE_OPERATIONS: Final = (
    Operation(
        "conferences.create",
        "POST",
        "/conferences",
        (
            CALL,
            P("name", required=True),
            BEEP,
            STATE,
            P("comfort_noise", "boolean"),
            COMMAND,
            P("duration_minutes", "integer", minimum=1),
            P("hold_audio_url"),
            P("hold_media_name"),
            P("max_participants", "integer", minimum=2, maximum=800),
            REGION,
            P("start_conference_on_create", "boolean"),
        ),
    ),
    Operation(
        "conferences.list", "GET", "/conferences", query=(*CONFERENCE_FILTERS, *PAGE, REGION)
    ),
    Operation("conferences.retrieve", "GET", "/conferences/{id}", query=(REGION,)),
    Operation(
        "conferences.list_participants",
        "GET",
        "/conferences/{conference_id}/participants",
        query=(
            P("filter[muted]", "boolean"),
            P("filter[on_hold]", "boolean"),
            P("filter[whispering]", "boolean"),
            *PAGE,
            REGION,
        ),
    ),
    Operation(
        "conferences.retrieve_participant", "GET", "/conferences/{id}/participants/{participant_id}"
    ),
    Operation(
        "conferences.update_participant",
        "PATCH",
        "/conferences/{id}/participants/{participant_id}",
        (BEEP, P("end_conference_on_exit", "boolean"), P("soft_end_conference_on_exit", "boolean")),
    ),
)

ACTIONS: Final = (
    _action(
        "update",
        "update",
        CALL,
        P("supervisor_role", required=True, choices=ROLES),
        COMMAND,
        REGION,
        P("whisper_call_control_ids", "strings"),
    ),
    _action("end", "end_conference", COMMAND),
    _action(
        "gather_using_audio",
        "gather_dtmf_audio",
        CALL,
        *AUDIO,
        STATE,
        P("gather_id", maximum=100),
        P("initial_timeout_millis", "integer"),
        P("inter_digit_timeout_millis", "integer"),
        P("invalid_audio_url"),
        P("invalid_media_name"),
        P("maximum_digits", "integer"),
        P("maximum_tries", "integer"),
        P("minimum_digits", "integer"),
        P("stop_playback_on_dtmf", "boolean"),
        P("terminating_digit"),
        P("timeout_millis", "integer"),
        P("valid_digits"),
    ),
    _action("hold", "hold", *AUDIO, CALLS, REGION),
    _action(
        "join",
        "join",
        CALL,
        BEEP,
        STATE,
        COMMAND,
        P("end_conference_on_exit", "boolean"),
        P("hold", "boolean"),
        P("hold_audio_url"),
        P("hold_media_name"),
        P("mute", "boolean"),
        REGION,
        P("soft_end_conference_on_exit", "boolean"),
        P("start_conference_on_enter", "boolean"),
        P("supervisor_role", choices=ROLES),
        P("whisper_call_control_ids", "strings"),
    ),
    _action("leave", "leave", CALL, BEEP, COMMAND, REGION),
    _action("mute", "mute", CALLS, REGION),
    _action("play", "play", *AUDIO, CALLS, P("loop", "loop"), REGION),
    _action("record_pause", "record_pause", COMMAND, RECORDING, REGION),
    _action("record_resume", "record_resume", COMMAND, RECORDING, REGION),
    _action(
        "record_start",
        "record_start",
        P("format", required=True, choices=("wav", "mp3")),
        P("channels", choices=("single", "dual")),
        COMMAND,
        P("custom_file_name"),
        P("play_beep", "boolean"),
        REGION,
        P("trim", choices=("trim-silence",)),
    ),
    _action("record_stop", "record_stop", STATE, COMMAND, RECORDING, REGION),
    _action(
        "send_dtmf",
        "send_dtmf",
        P("digits", required=True, form="dtmf"),
        CALLS,
        STATE,
        P("duration_millis", "integer"),
    ),
    _action(
        "speak",
        "speak",
        P("payload", required=True, maximum=3000),
        P("voice", required=True),
        CALLS,
        COMMAND,
        # Soniox voices take plain two-letter codes instead of the listed languages.
        P("language", choices=tuple(LANGUAGES.split()), open_when=("voice", "Soniox.")),
        P("payload_type", choices=("text", "ssml")),
        REGION,
        P("voice_settings", "object", variants=VOICE_SETTINGS),
    ),
    _action("stop", "stop", CALLS, REGION),
    _action("unhold", "unhold", P("call_control_ids", "strings", required=True), REGION),
    _action("unmute", "unmute", CALLS, REGION),
)

QUEUE_OPERATIONS: Final = (
    Operation(
        "queues.create",
        "POST",
        "/queues",
        (
            P("queue_name", required=True, minimum=1, maximum=255),
            P("max_size", "integer", minimum=1),
        ),
    ),
    Operation("queues.list", "GET", "/queues", query=PAGE),
    Operation("queues.retrieve", "GET", "/queues/{queue_name}"),
    Operation(
        "queues.update",
        "POST",
        "/queues/{queue_name}",
        (P("max_size", "integer", required=True, minimum=1),),
    ),
    Operation("queues.delete", "DELETE", "/queues/{queue_name}"),
    Operation("queues.calls.list", "GET", "/queues/{queue_name}/calls", query=PAGE),
    Operation("queues.calls.retrieve", "GET", "/queues/{queue_name}/calls/{call_control_id}"),
    Operation(
        "queues.calls.update",
        "PATCH",
        "/queues/{queue_name}/calls/{call_control_id}",
        (P("keep_after_hangup", "boolean"),),
    ),
    Operation("queues.calls.remove", "DELETE", "/queues/{queue_name}/calls/{call_control_id}"),
)

DELIVERY_OPERATIONS: Final = (
    Operation(
        "webhook_deliveries.list", "GET", "/webhook_deliveries", query=(*DELIVERY_FILTERS, *PAGE)
    ),
    Operation("webhook_deliveries.retrieve", "GET", "/webhook_deliveries/{id}"),
)

OPERATIONS: Final = (
    *CALL_OPERATIONS,
    *CONFERENCE_OPERATIONS,
    *ACTIONS,
    *QUEUE_OPERATIONS,
    *DELIVERY_OPERATIONS,
)
"""All of them; the order has no meaning."""
