"""Fields of ``voice_settings`` by speech provider."""

from __future__ import annotations

from typing import Final

from gateway.sandbox.parameters import Parameter

P = Parameter

MINIMAX_LANGUAGES: Final = (
    "auto",
    "Chinese",
    "Chinese,Yue",
    "English",
    "Arabic",
    "Russian",
    "Spanish",
    "French",
    "Portuguese",
    "German",
    "Turkish",
    "Dutch",
    "Ukrainian",
    "Vietnamese",
    "Indonesian",
    "Japanese",
    "Italian",
    "Korean",
    "Thai",
    "Polish",
    "Romanian",
    "Greek",
    "Czech",
    "Finnish",
    "Hindi",
    "Bulgarian",
    "Danish",
    "Hebrew",
    "Malay",
    "Persian",
    "Slovak",
    "Swedish",
    "Croatian",
    "Filipino",
    "Hungarian",
    "Norwegian",
    "Slovenian",
    "Catalan",
    "Nynorsk",
    "Tamil",
    "Afrikaans",
)

VOICE_SETTINGS: Final = (
    ("elevenlabs", (P("api_key_ref"),)),
    ("telnyx", (P("voice_speed", "number"),)),
    ("aws", ()),
    (
        "minimax",
        (
            P("language_boost", choices=MINIMAX_LANGUAGES),
            P("pitch", "integer"),
            P("speed", "number"),
            P("vol", "number"),
        ),
    ),
    (
        "azure",
        (
            P("api_key_ref"),
            P("deployment_id"),
            P("effect", choices=("eq_car", "eq_telecomhp8k")),
            P("gender", choices=("Male", "Female")),
            P("region"),
        ),
    ),
    (
        "resemble",
        (
            P("format", choices=("wav", "mp3")),
            P("precision", choices=("PCM_16", "PCM_24", "PCM_32", "MULAW")),
            P("sample_rate", choices=("8000", "16000", "22050", "32000", "44100", "48000")),
        ),
    ),
    ("inworld", (P("delivery_mode", choices=("STABLE", "BALANCED", "CREATIVE")),)),
    ("xai", (P("language"),)),
    ("soniox", (P("reduce_silence", "boolean"), P("speed", "number"))),
)
"""Every object also has its ``type``, which is required and names the provider."""
