"""The command `completion`, and what shells may complete arguments to."""

from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem, get_completion_class

from gateway.client.api import Api
from gateway.output import say
from gateway.schema.event_types import payload_fields

_PROGRAM = "telnyx-gateway"

# The environment variable by which a shell asks for completions: click's own convention.
_ASKED_BY = "_TELNYX_GATEWAY_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes commands, options, RPCs and event types in a shell.

    \b
    bash  eval "$(telnyx-gateway completion bash)"          in ~/.bashrc
    zsh   eval "$(telnyx-gateway completion zsh)"           in ~/.zshrc, after compinit
    fish  telnyx-gateway completion fish | source           in ~/.config/fish/config.fish
    """  # noqa: D301 - click asks for a real backspace before lines that it shall leave as they are
    found = get_completion_class(shell)
    assert found is not None, "click knows the three shells"
    root = click.get_current_context().find_root().command
    say(found(root, {}, _PROGRAM, _ASKED_BY).source())


def rpcs(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the name of an RPC of this release; no gateway is asked."""
    return _beginning([it.name for it in Api.of_this_release().methods], begun)


def described(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Complete the name of an RPC, a message or an enum of this release."""
    api = Api.of_this_release()
    return _beginning([it.name for it in api.methods] + api.type_names(), begun)


def event_types(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Complete a type of event that has a typed payload, or a prefix of several."""
    types = sorted(payload_fields())
    families = [it.split(".")[:-1] for it in types]
    prefixes = {".".join((*it[:end], "*")) for it in families for end in range(1, len(it) + 1)}
    return _beginning([*types, *sorted(prefixes)], begun)


def _beginning(names: Sequence[str], begun: str) -> list[CompletionItem]:
    """Return those that begin so, whatever their case: RPCs are found in any."""
    return [CompletionItem(it) for it in names if it.lower().startswith(begun.lower())]
