"""Scenarios are checked completely before they are played: what is wrong, where, what to do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sandbox.operations import load_operations
from gateway.sandbox.scenario.library import script_of, shipped_names, shipped_script
from gateway.sandbox.scenario.problems import ScenarioError
from gateway.sandbox.scenario.reading import read_script
from gateway.sandbox.scenario.script import CallIn, Command, Script, Talk
from gateway.sandbox.scenario.verbs import COMMON, OPERATIONS, verbs

HEAD = """\
title = "Two meet"

[calls.ana]
from = "+13125550101"

[calls.staff]
count = 3

"""

# What cannot be said by name alone, as a participant's id is known to the provider only.
UNSAYABLE = {"conferences.update_participant"}


def read(steps: str, head: str = HEAD) -> Script:
    return read_script(head + steps, "meet.toml")


def problems(steps: str, head: str = HEAD) -> tuple[str, ...]:
    with pytest.raises(ScenarioError) as caught:
        read(steps, head)
    return caught.value.problems


def step(text: str) -> str:
    return "[[steps]]\n" + text.replace("; ", "\n") + "\n\n"


CREATE = step('do = "create"; conference = "room"; call = "ana"')


def test_names_become_ids_and_whoever_is_named_first_calls_in() -> None:
    script = read(
        CREATE
        + step('wait = 2; do = "join"; conference = "room"; call = "staff-*"; every = 0.5')
        + step('at = 9; do = "talk"; call = ["ana", "staff-2", "ana"]')
    )

    create, *joins = script.steps[:4]
    assert isinstance(create.deed, Command)
    assert create.deed.operation == "conferences.create"
    assert create.deed.body == {"call_control_id": "v3:meet-ana", "name": "room"}
    assert [it.name for it in create.arriving] == ["ana"]
    assert [(it.at, it.arriving[0].name) for it in joins] == [
        (2.0, "staff-1"),
        (2.5, "staff-2"),
        (3.0, "staff-3"),
    ]
    assert [it.deed.caller.name for it in script.steps[4:] if isinstance(it.deed, Talk)] == [
        "ana",
        "staff-2",
        "ana",
    ]
    assert all(it.arriving == () for it in script.steps[4:])
    assert (script.name, script.title, script.length) == ("meet", "Two meet", 9.0)


def test_steps_for_several_go_in_between_those_that_come_later() -> None:
    script = read(
        CREATE
        + step('at = 1; do = "join"; conference = "room"; call = "staff-*"; every = 5')
        + step('at = 3; do = "talk"; call = "ana"')
    )

    assert [it.at for it in script.steps] == [0, 1, 3, 6, 11]
    assert script.length == 11


def test_who_calls_in_by_a_step_of_its_own_does_not_call_in_twice() -> None:
    (first, second) = read(
        step('do = "call_in"; call = "ana"') + step('do = "talk"; call = "ana"')
    ).steps

    assert isinstance(first.deed, CallIn)
    assert first.arriving == second.arriving == ()


def test_calls_are_named_in_lists_and_by_their_group() -> None:
    script = read(
        CREATE
        + step('do = "join"; conference = "room"; call = "staff-*"')
        + step('do = "mute"; conference = "room"; calls = ["staff-*", "staff-1", "ana"]')
        + step(
            'do = "supervise"; conference = "room"; call = "ana"; supervisor_role = "whisper"; '
            'whisper_to = ["staff-3"]'
        )
    )

    bodies = [it.deed.body for it in script.steps if isinstance(it.deed, Command)]
    assert bodies[-2]["call_control_ids"] == [
        "v3:meet-staff-1",
        "v3:meet-staff-2",
        "v3:meet-staff-3",
        "v3:meet-ana",
    ]
    assert bodies[-1]["whisper_call_control_ids"] == ["v3:meet-staff-3"]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ('do = "jion"; call = "ana"', "step 2: 'do' is 'jion': is it join?"),
        ("at = 3", "step 2: 'do' is None: one of call_in, "),
        ('do = "talk"; call = "anna"', "step 2 (talk): there is no call 'anna': is it ana?"),
        ('do = "talk"; call = "staff"', "there is no call 'staff': is it staff-*?"),
        ('do = "talk"; call = "staff-4"', "there is no call 'staff-4': is it staff-*?"),
        ('do = "talk"; call = "a\\n"', "there is no call 'a ': there is ana"),
        ('do = "talk"; call = 1', "(talk): 'call' must name calls"),
        ('do = "talk"', "step 2 (talk): needs 'call'"),
        ('do = "talk"; call = "ana"; mute = true', "takes no 'mute': there is at, call"),
        ('do = "mute"; conference = "room"; call = "ana"', "takes no 'call': is it calls?"),
        ('do = "join"; conference = "rom"; call = "ana"', "no conference 'rom' yet: is it room?"),
        ('do = "join"; conference = 1; call = "ana"', "'conference' must be a text"),
        ('do = "record"; conference = "room"; format = "ogg"', "step 2 (record): "),
        ('do = "join"; conference = "room"; call = "ana"; mute = "yes"', "step 2 (join): "),
        ('do = "enqueue"; call = "ana"', "step 2 (enqueue): needs 'queue'"),
        ('do = "enqueue"; call = "ana"; queue = ""', "step 2 (enqueue): "),
        ('do = "talk"; call = "ana"; at = -1', "'at' must be a number of seconds, got -1"),
        ('do = "talk"; call = "ana"; at = true', "'at' must be a number of seconds, got True"),
        ('do = "talk"; call = "ana"; wait = "2s"', "'wait' must be a number of seconds, got '2s'"),
        ('do = "talk"; call = "ana"; at = inf', "'at' must be a number of seconds, got inf"),
        ('do = "talk"; call = "ana"; at = 1; wait = 1', "has both 'at' and 'wait': give one"),
        ('do = "talk"; call = "ana"; every = "x"', "'every' must be a number of seconds"),
        ('do = "end"; conference = "room"; every = 1', "takes no 'every'"),
        ('do = "talk"; call = "ana"; refused = 1', "'refused' must be true or false, got 1"),
        ('do = "fault"; on = "request"', "(fault): the fault does nothing"),
        ('do = "fault"; on = "webhok"; trouble = "lose"', "'on' must be 'request' or 'webhook'"),
        ('do = "fault"; on = "webhook"; trouble = "eat"', "trouble must be duplicate"),
        (
            'do = "fault"; on = "webhook"; trouble = "lose"; event_type = "conference.joined"',
            "there is no event_type 'conference.joined': is it",
        ),
        (
            'do = "fault"; on = "request"; drop = true; operation = "join"',
            "there is no operation 'join': is it",
        ),
        ('do = "fault"; on = "request"; status = 500; delay_seconds = "2"', "delay_seconds"),
    ],
)
def test_a_mistake_in_a_step_is_told_with_its_place(steps: str, said: str) -> None:
    (found,) = problems(CREATE + step(steps))

    assert found.startswith("meet.toml:1")
    assert said in found


def test_the_line_is_that_of_the_word_if_it_is_a_words_fault() -> None:
    text = CREATE + step('do = "talk"; call = "anna"')
    (found,) = problems(text)

    line = int(found.split(":")[1])
    assert (HEAD + text).splitlines()[line - 1] == 'call = "anna"'


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    found = problems(
        CREATE
        + step('at = 5; do = "talk"; call = "anna"')
        + step('at = 4; do = "hang_up"; call = "bert"; now = 1'),
        "lenght = 3\n" + HEAD,
    )

    assert found[0].startswith("meet.toml: there is no 'lenght' at the top: is it length?")
    assert [it.split(" ")[2] for it in found[1:]] == ["2", "3", "3", "3"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title = ", "meet.toml:1: Invalid value"),
        ("a = 1\na = 2", "meet.toml:2: Cannot overwrite a value"),
        ("", "meet.toml: needs a 'title'"),
        ("title = 3\n" + CREATE, "meet.toml: 'title' must be a text"),
        ('title = "x"\nstpes = 1\n', "there is no 'stpes' at the top: is it steps?"),
        ('title = "x"\nsteps = []\n', "has no steps: write at least one [[steps]]"),
        ('title = "x"\ncalls = 1\n', "'calls' must be tables, such as [calls.alice]"),
        ('title = "x"\n[calls.Ana]\n', "[calls.Ana]: the name may have a-z"),
        ('title = "x"\n[calls]\nana = 1\n', "[calls.ana] must be a table"),
        ('title = "x"\n[calls.ana]\nfrm = "1"\n', "[calls.ana] takes no 'frm': is it from?"),
        ('title = "x"\n[calls.ana]\nfrom = 1\n', "[calls.ana]: 'from' must be a text, got 1"),
        ('title = "x"\n[calls.ana]\ncount = 0\n', "[calls.ana]: 'count' must be 1 to 5,000"),
        ('title = "x"\nlength = -1\n' + HEAD[19:] + CREATE, "'length' must be a number of seconds"),
        (
            'title = "x"\nlength = 1\n' + HEAD[19:] + step('at = 2; do = "talk"; call = "ana"'),
            "'length' is 1, but the last step is at 2",
        ),
    ],
)
def test_a_mistake_outside_the_steps_is_told(text: str, said: str) -> None:
    assert any(said in it for it in problems(text, ""))


def test_steps_as_inline_tables_are_told_without_a_line() -> None:
    (found,) = problems('steps = [{do = "talk", call = "anna"}]\n', 'title = "x"\n')

    assert found == "meet.toml: step 1 (talk): there is no call 'anna': there is none"


def test_a_scenario_has_a_limit_of_steps() -> None:
    many = step('do = "talk"; call = "staff-*"') * 8
    (found,) = problems(many, HEAD.replace("count = 3", "count = 2_600"))

    assert "has more than 20,000 steps" in found


def test_each_command_of_the_provider_can_be_said() -> None:
    commands = {it.id for it in load_operations() if it.is_command}

    assert sorted(OPERATIONS.values()) == sorted(commands - UNSAYABLE)


def test_no_word_of_a_verb_means_two_things() -> None:
    for verb in verbs(load_operations()).values():
        assert not verb.words & COMMON, verb.name
        assert not verb.required & verb.optional, verb.name


def test_a_file_is_found_by_its_path_and_a_scenario_of_the_package_by_its_name(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("own") / "My Day.toml"
    path.write_text(HEAD + CREATE)

    assert script_of(str(path)).name == "my-day"
    assert script_of("bad-day").name == "bad-day"
    with pytest.raises(ScenarioError, match="is it bad-day"):
        script_of("bad-dya")
    path.write_bytes(b"\xff")
    with pytest.raises(ScenarioError, match="is not a text in UTF-8"):
        script_of(str(path))


def test_the_package_has_three() -> None:
    assert shipped_names() == ["all-hands", "bad-day", "support-line"]
    for name in shipped_names():
        assert shipped_script(name).about


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=4,
)
VERBS = verbs(load_operations())


def toml(value: object) -> str:
    """A value of JSON as TOML has it."""
    match value:
        case None:
            return '""'
        case bool():
            return str(value).lower()
        case str():
            return '"' + "".join(f"\\U{ord(it):08x}" for it in value) + '"'
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{toml(key)} = {toml(it)}" for key, it in value.items()) + "}"
        case _:
            return str(value)


@pytest.mark.slow
@settings(max_examples=50)
@given(
    st.lists(
        st.sampled_from(sorted(VERBS)).flatmap(
            lambda name: st.fixed_dictionaries(
                {},
                optional={
                    word: values | st.sampled_from(["ana", "staff-*", "room", "webhook", "request"])
                    for word in sorted(VERBS[name].words | COMMON - {"do"})
                },
            ).map(lambda words: {"do": name, **words})
        ),
        max_size=4,
    )
)
def test_whatever_stands_in_the_steps_is_read_or_refused_in_words(
    steps: list[dict[str, object]],
) -> None:
    text = HEAD + "".join(
        "[[steps]]\n" + "".join(f"{word} = {toml(it)}\n" for word, it in one.items())
        for one in steps
    )
    try:
        script = read_script(text, "meet.toml")
    except ScenarioError as error:
        told = error.problems
    else:
        assert len(script.steps) >= len(steps)
        return
    assert all(it.startswith("meet.toml") and "\n" not in it for it in told), told
