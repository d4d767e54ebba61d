"""Keys of events, and filters for them, as hypothesis draws them."""

from hypothesis import strategies as st

from tests.harness.events import choosing, keys_of

CONFERENCES = ["c1", "c2", ""]
TYPES = ["conference.created", "conference.participant.joined", "call.enqueued"]

keys = st.builds(
    keys_of,
    type=st.sampled_from(TYPES),
    conference_id=st.sampled_from(CONFERENCES),
    call_control_id=st.sampled_from(["k1", "k2", ""]),
    queue_name=st.sampled_from(["q1", ""]),
)
filters = st.builds(
    choosing,
    type=st.frozensets(
        st.sampled_from([*TYPES, "conference.*", "call.*", "conference.p*"]), max_size=4
    ),
    conference_id=st.frozensets(st.sampled_from(["c1", "c2", "c3"]), max_size=2),
    call_control_id=st.frozensets(st.sampled_from(["k1", "k2"]), max_size=2),
    queue_name=st.frozensets(st.sampled_from(["q1", "q2"]), max_size=1),
)
