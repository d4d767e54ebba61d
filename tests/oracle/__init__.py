"""The oracle suite: recorded histories of many subscribers, judged against a model of the log.

`model` says what was posted, acknowledged, stored and deleted; `history` what each subscriber saw;
`guarantees`, `losses` and `storage` are the promises as functions over both. `schedule` makes up
what happens, `world` lets it happen to the real feed and the real log, and `breaks` are the faults
that the suite must find.
"""
