"""The last A2A SDK of PyPI that speaks 0.3 alone, unmodified: what older agents run. Reports one line of JSON per test."""

import asyncio
import json
import os
import traceback
from uuid import uuid4

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.client.errors import A2AClientHTTPError, A2AClientJSONRPCError
from a2a.types import DataPart, Message, MessageSendConfiguration, Part, TaskIdParams, TaskQueryParams, TextPart

BASE = os.environ["PATCHBAY_BASE"]
KEY = os.environ["PATCHBAY_KEY"]
SEARCH = {"tool": "tavily/search", "input": {"query": "solar roof tiles", "max_results": 2}}
MAIL = {"tool": "resend/send_email", "confirm": "writes", "input": {"from": "a@mail.example", "to": ["b@mail.example"], "subject": "Hello", "text": "Hi"}}


def message(content, task=None):
    part = TextPart(text=content) if isinstance(content, str) else DataPart(data=content)
    about = {} if task is None else {"task_id": task.id, "context_id": task.context_id}
    return Message(message_id=str(uuid4()), role="user", parts=[Part(root=part)], **about)


class Spoken:
    def __init__(self, key=KEY):
        self.http = httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}, timeout=30)

    async def __aenter__(self):
        self.card = await A2ACardResolver(self.http, BASE).get_agent_card()

        def made(streaming):
            return ClientFactory(ClientConfig(httpx_client=self.http, streaming=streaming)).create(self.card)

        self.whole, self.streamed = made(False), made(True)
        return self

    async def __aexit__(self, *_):
        await self.http.aclose()

    async def send(self, content, task=None, **options):
        configuration = MessageSendConfiguration(**options) if options else None
        [(answer, _)] = [event async for event in self.whole.send_message(message(content, task), configuration=configuration)]
        return answer


async def refused(code, call):
    try:
        await call
    except A2AClientJSONRPCError as error:
        assert error.error.code == code, error
        return
    raise AssertionError(f"{code} was expected")


async def reads_the_card(own):
    card = own.card
    assert (card.name, card.protocol_version, card.preferred_transport) == ("Patchbay", "0.3.0", "JSONRPC"), card
    assert card.security_schemes["key"].root.scheme == "Bearer", card.security_schemes
    extended = await own.whole.get_card()
    assert "resend/send_email" in [skill.id for skill in extended.skills], extended


async def sends_and_gets(own):
    task = await own.send(SEARCH)
    assert task.status.state.value == "completed", task
    assert task.artifacts[0].parts[0].root.data["status"] == "succeeded", task
    seen = await own.whole.get_task(TaskQueryParams(id=task.id, history_length=1))
    assert seen.artifacts == task.artifacts and len(seen.history) == 1, seen
    await refused(-32001, own.whole.get_task(TaskQueryParams(id="none")))


async def streams(own):
    events = [event async for event in own.streamed.send_message(message(SEARCH))]
    kinds = [None if update is None else update.kind for _, update in events]
    assert kinds == [None, "artifact-update", "status-update"], kinds
    task, update = events[-1]
    assert update.final and task.status.state.value == "completed", events


async def confirms_and_cancels(own):
    waiting = await own.send(MAIL)
    assert waiting.status.state.value == "input-required", waiting
    assert "b@mail.example" in waiting.status.message.parts[0].root.text, waiting
    done = await own.send("yes", waiting)
    assert (done.id, done.status.state.value) == (waiting.id, "completed"), done
    other = await own.send(MAIL)
    ended = await own.whole.cancel_task(TaskIdParams(id=other.id))
    assert ended.status.state.value == "canceled", ended
    await refused(-32002, own.whole.cancel_task(TaskIdParams(id=other.id)))


async def follows_what_it_does_not_wait_for(own):
    task = await own.send(SEARCH, blocking=False)
    try:
        async for seen, _ in own.streamed.resubscribe(TaskIdParams(id=task.id)):
            if seen.status.state.value == "completed":
                break
    except A2AClientHTTPError as error:
        # It was over before anybody could follow it, and the SDK cannot read a refusal that is no stream.
        assert "application/json" in error.message, error
    assert (await own.whole.get_task(TaskQueryParams(id=task.id))).status.state.value == "completed"


async def is_told_that_its_key_is_wrong(own):
    async with Spoken("sk-pb-v1-wrong") as nobody:
        try:
            await nobody.send(SEARCH)
        except A2AClientHTTPError as error:
            assert error.status_code == 401, error
            return
    raise AssertionError("a wrong key was taken")


async def main():
    async with Spoken() as own:
        for run in [reads_the_card, sends_and_gets, streams, confirms_and_cancels, follows_what_it_does_not_wait_for, is_told_that_its_key_is_wrong]:
            error = None
            try:
                await asyncio.wait_for(run(own), 30)
            except BaseException:
                error = traceback.format_exc()
            print(json.dumps({"name": run.__name__.replace("_", " "), "error": error}), flush=True)
    print(json.dumps({"end": True}), flush=True)


asyncio.run(main())
