"""The gateway as a program whose recovery is hurried, so that a table of attacks takes minutes.

Memory is looked for ten times as often, connections that flood are held for a fourth of their time,
and messages are waited for a tenth of it; the long form runs the gateway as it is. Run as
`python -m tests.hostile.hurried serve`.
"""

from gateway import memory
from gateway.cli import main
from gateway.server.grpc import floods
from gateway.server.hooks import silence

if __name__ == "__main__":
    memory.LOOK_S, memory.GIVE_BACK_S, memory.PAUSE_SHARE = 0.5, 2.0, 0.05
    floods.HELD_S = 2.5
    silence.MESSAGE_S = 1.0
    main()
