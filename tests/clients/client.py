"""The Python package as somebody would use it. One line of JSON per test; lines with `script` ask the other side to prepare something."""

import json
import os
import sys
import traceback

from patchbay import AuthenticationError, ConnectionFailed, InvalidRequestError, NotFoundError, Patchbay, ServerError

PLACE = {"latitude": 52.52, "longitude": 13.41}
MAIL = {"from": "a@mail.example", "to": ["b@mail.example"], "subject": "Python", "text": "Hi"}
HELLO = [{"role": "user", "content": "Hello"}]


def say(**line):
    print(json.dumps(line), flush=True)


def prepare(**script):
    """Has something prepared; answers how many mails were sent so far."""
    say(script={**script, "now": True})
    return int(sys.stdin.readline())


def refused(kind, act):
    try:
        act()
    except kind as error:
        return error
    raise AssertionError(f"nothing was refused: {kind.__name__}")


patchbay = Patchbay()


def asks_models_in_one_piece_and_as_a_stream():
    answer = patchbay.chat.completions.create(model="test/openai", messages=HELLO)
    told = answer["choices"][0]["message"]["content"]
    chunks = patchbay.chat.completions.create(model="test/openai", messages=HELLO, stream=True)
    words = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
    assert told and words == told, (told, words)
    events = [event["type"] for event in patchbay.messages.create(model="test/anthropic", max_tokens=100, messages=HELLO, stream=True)]
    assert (events[0], events[-1]) == ("message_start", "message_stop"), events
    assert any(model["id"] == "test/openai" for model in patchbay.models.list()["data"])
    assert patchbay.models.get("test/openai")["data"]["id"] == "test/openai"


def finds_and_runs_tools():
    assert patchbay.tools.list(category="weather", limit=3)["data"]
    assert patchbay.tools.get("tavily/search")["data"]["id"] == "tavily/search"
    assert any(one["id"] == "weather" for one in patchbay.tools.categories()["data"])
    envelope = patchbay.tools.execute("open_meteo/current", PLACE)
    assert envelope["result"]["conditions"] == "light rain", envelope
    asked = patchbay.tools.execute("resend/send_email", MAIL, confirm="writes")
    assert asked["status"] == "confirmation_required", asked
    done = patchbay.tools.confirm("resend/send_email", MAIL, asked, confirm="writes")
    assert done["status"] == "succeeded", done
    seen = []
    again = {**MAIL, "subject": "Asked"}
    done = patchbay.tools.execute("resend/send_email", again, confirm="writes", on_confirm=lambda one, _: not seen.append(one["summary"]))
    assert done["status"] == "succeeded" and seen[0], (done, seen)


def runs_the_calls_of_an_answer():
    prepare(calls=[{"name": "open_meteo__current", "args": PLACE}])
    tools = patchbay.tools.list(format="openai", names=["open_meteo/current"], strict=True)["data"]
    asked = patchbay.chat.completions.create(model="test/openai", messages=HELLO, tools=tools)
    ran = patchbay.tools.run(asked)
    assert "light rain" in ran["messages"][0]["content"], ran
    messages = [*HELLO, asked["choices"][0]["message"], *ran["messages"]]
    last = patchbay.chat.completions.create(model="test/openai", messages=messages, tools=tools)
    assert last["choices"][0]["finish_reason"] == "stop", last


def raises_errors_of_their_kind():
    stranger = Patchbay(api_key="sk-pb-v1-nobody", max_retries=0)
    assert refused(AuthenticationError, lambda: stranger.call("getKey")).status == 401
    missing = refused(NotFoundError, lambda: patchbay.tools.execute("no/such", {}))
    assert missing.code == "tool_not_found" and missing.request_id, vars(missing)
    wrong = refused(InvalidRequestError, lambda: patchbay.tools.execute("tavily/search", {}))
    assert wrong.body["status"] == "failed"
    refused(ConnectionFailed, lambda: Patchbay(base_url="http://127.0.0.1:9", max_retries=0).models.list())


def sends_again_where_that_is_safe_and_a_tool_runs_once():
    other = Patchbay(base_url=os.environ["SHAKY"])
    start = prepare(faults=[503])
    assert other.models.list()["data"]
    prepare(faults=["reset"])
    sent = other.tools.execute("resend/send_email", {**MAIL, "subject": "Once"})
    assert (sent["status"], sent.get("replayed")) == ("succeeded", True), sent
    assert prepare(faults=["reset"]) == start + 1
    refused(ConnectionFailed, lambda: other.chat.completions.create(model="test/openai", messages=HELLO))
    prepare(faults=[503, 503, 503])
    refused(ServerError, other.models.list)


for check in [
    asks_models_in_one_piece_and_as_a_stream,
    finds_and_runs_tools,
    runs_the_calls_of_an_answer,
    raises_errors_of_their_kind,
    sends_again_where_that_is_safe_and_a_tool_runs_once,
]:
    try:
        check()
        error = None
    except Exception:
        error = traceback.format_exc()
    say(name=check.__name__.replace("_", " "), error=error)
say(end=True)
