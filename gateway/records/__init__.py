"""Records: what has happened, as values. Metrics and log lines are made of them.

Each room makes the records of what happens in it and hands them to its observer, which the
composition root has chosen. So no room knows what is made of its records, and `telemetry`, which
makes it, knows no room but this one. An observer takes a record in the event loop, at once, and
never raises: what was recorded must not change for being told of.

**One record, at the end.** What takes time has one record, made when it has ended, with the moment
at which it `began` and the `seconds` that it took. A second record at the beginning would have to
be matched with that by whoever hears both, and nothing needs it:

* Metrics count and time what has ended. What lasts (streams, requests in flight) is looked up when
  somebody asks; those that have begun are those that have ended and those in flight.
* A trace consists of spans, each exported when it has ended. A span can be made of a record
  once the work is over. Only its ids, and whether it is sampled, have to be known from its
  beginning: they go out in the `traceparent` of requests, and its children, which end before it,
  name them. So the W3C context (read of what came in, or new) is a value that travels with the
  work, and one more field of its record (`tracecontext.Span`).

**Times.** `began` is a moment on the monotonic clock that the room was given, in seconds: a wall
clock that is set would make work longer or shorter. Whoever needs the time of day compares the two
clocks when the record comes. What has no duration has no time, either: its record is made at once.

**Contents.** A record holds nothing that metrics, lines and traces must not show: no keys, headers
or bodies. Texts that somebody else has sent may be of any length, and are cut where they are
written.

Records are named tuples and not dataclasses, as are other values that are made for each call: they
take less than half of the time to make.
"""
