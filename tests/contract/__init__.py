"""The contract of the event log's ports: what any home of a log must keep to, as checks to run.

`homes` names the homes. `contract` gathers the checks from the modules beside it, one concept
each; they know the ports and nothing else. `breaks` shows that each check notices a broken home.
"""
