"""Scenarios that show what of the Realtime API works; docs/compatibility.md is made of them.

With `--write-table` the document is made anew.
"""

from collections.abc import Iterator

import pytest
from conformance import TABLE, Evidence, render
from conformance_core import SCENARIOS as INSIDE
from conformance_socket import CITY, REPLY
from conformance_socket import SCENARIOS as OVER_A_SOCKET
from conformance_talk import RecordedClient, RecordedRig, Scenario, recorded
from system import SIMULATED, System, running_system

pytestmark = pytest.mark.integration

SETTINGS = {
    **SIMULATED,
    "turn_taking.detector": "loudness",
    "simulated.reply": REPLY,
    "simulated.call_arguments": CITY,
}
evidence = Evidence()
seen: set[str] = set()


@pytest.fixture(scope="module")
def server() -> Iterator[System]:
    with running_system(SETTINGS) as running:
        yield running
        running.assert_no_traceback()


async def see_over_a_socket(server: System, scenario: Scenario[RecordedClient]) -> None:
    async with recorded(server.realtime_url, **scenario.opened) as client:
        await scenario.run(client)
        evidence.add(scenario.name, client.frames, scenario.effects, client.awaited)
    seen.add(scenario.name)


def see_through_the_core(scenario: Scenario[RecordedRig]) -> None:
    rig = RecordedRig()
    scenario.run(rig)
    evidence.add(scenario.name, rig.frames, scenario.effects)
    seen.add(scenario.name)


@pytest.mark.parametrize("scenario", OVER_A_SOCKET, ids=str)
async def test_over_a_socket(server: System, scenario: Scenario[RecordedClient]) -> None:
    await see_over_a_socket(server, scenario)


@pytest.mark.parametrize("scenario", INSIDE, ids=str)
def test_through_the_core(scenario: Scenario[RecordedRig]) -> None:
    see_through_the_core(scenario)


@pytest.mark.timeout(180)
async def test_the_document_is_what_the_scenarios_showed(
    server: System, request: pytest.FixtureRequest
) -> None:
    # Tests are shared among processes: what another one saw is seen again here.
    for scenario in OVER_A_SOCKET:
        if scenario.name not in seen:
            await see_over_a_socket(server, scenario)
    for inside in INSIDE:
        if inside.name not in seen:
            see_through_the_core(inside)
    text = TABLE.read_text(encoding="utf-8")
    made = render(text, evidence)
    if request.config.getoption("--write-table"):
        TABLE.write_text(made, encoding="utf-8")
        text = made
    assert made == text, "run this file with --write-table, look at the difference and commit it"
