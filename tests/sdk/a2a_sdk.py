"""PyPI's A2A SDK, unmodified: both bindings of 1.0, and 0.3 through its layer of compatibility. Reports one line of JSON per test."""

import asyncio
import json
import os
import re
import traceback
import urllib.request
from uuid import uuid4

import httpx
from a2a.client.card_resolver import A2ACardResolver
from a2a.client.client import ClientConfig
from a2a.client.client_factory import ClientFactory
from a2a.client.errors import A2AClientError
from a2a.types import a2a_pb2 as pb
from a2a.utils import errors
from google.protobuf.json_format import MessageToDict, ParseDict

BASE = os.environ["PATCHBAY_BASE"]
KEY = os.environ["PATCHBAY_KEY"]
VENDORS = os.environ["PATCHBAY_VENDORS"]
SEARCH = {"tool": "tavily/search", "input": {"query": "solar roof tiles", "max_results": 2, "topic": "news", "include_domains": ["example.org"]}}
MAIL = {"tool": "resend/send_email", "confirm": "writes", "input": {"from": "a@mail.example", "to": ["b@mail.example"], "subject": "Hello", "text": "Hi"}}
SPOKEN = [("JSONRPC", "1.0"), ("HTTP+JSON", "1.0"), ("JSONRPC", "0.3")]


def vendors(what):
    with urllib.request.urlopen(f"{VENDORS}/_vendors/{what}") as response:
        return json.loads(response.read())


def mails():
    return len([one for one in vendors("effects") if one["operation"] == "send_email"])


def request(part, task=None, **configuration):
    message = {"messageId": str(uuid4()), "role": "ROLE_USER", "parts": [part]}
    if task is not None:
        message |= {"taskId": task.id, "contextId": task.context_id}
    return ParseDict({"message": message, "configuration": configuration}, pb.SendMessageRequest())


def state(task):
    return pb.TaskState.Name(task.status.state).removeprefix("TASK_STATE_")


def envelope(task):
    return MessageToDict(task.artifacts[0].parts[0].data)


class Spoken:
    """A client of one binding and version, as the card tells of it."""

    def __init__(self, binding, version, key=KEY):
        self.binding, self.version = binding, version
        self.http = httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}, timeout=30)

    async def __aenter__(self):
        self.card = await A2ACardResolver(self.http, BASE).get_agent_card()
        fits = [one for one in self.card.supported_interfaces if (one.protocol_binding, one.protocol_version) == (self.binding, self.version)]
        assert len(fits) == 1, self.card.supported_interfaces
        card = pb.AgentCard()
        card.CopyFrom(self.card)
        del card.supported_interfaces[:]
        card.supported_interfaces.extend(fits)

        def made(streaming):
            config = ClientConfig(httpx_client=self.http, streaming=streaming, supported_protocol_bindings=[self.binding])
            return ClientFactory(config).create(card)

        self.whole, self.streamed = made(False), made(True)
        return self

    async def __aexit__(self, *_):
        await self.http.aclose()

    async def send(self, *args, **kwargs):
        answers = [answer async for answer in self.whole.send_message(request(*args, **kwargs))]
        assert len(answers) == 1, answers
        return answers[0].task

    async def get(self, task):
        return await self.whole.get_task(pb.GetTaskRequest(id=task.id))


async def refused(kind, call):
    try:
        await call
    except kind as error:
        return str(error)
    except Exception as error:
        raise AssertionError(f"{kind.__name__} was expected, not {error!r}") from error
    raise AssertionError(f"{kind.__name__} was expected")


async def cards(own):
    assert own.card.name == "Patchbay" and own.card.capabilities.streaming, own.card
    assert own.card.security_schemes["key"].http_auth_security_scheme.scheme == "Bearer", own.card
    assert "search" in [skill.id for skill in own.card.skills]
    extended = await own.whole.get_extended_agent_card(pb.GetExtendedAgentCardRequest())
    ids = [skill.id for skill in extended.skills]
    assert "resend/send_email" in ids and not any(one.startswith("exa/") for one in ids), ids


async def sends(own):
    task = await own.send({"data": SEARCH})
    assert state(task) == "COMPLETED", task
    told = envelope(task)
    assert (told["status"], told["usage"]["cost"]) == ("succeeded", 0.008), told
    assert "Roofs that make power" in json.dumps(told["result"]), told
    # The numbers of protobuf are floats; the tool's are integers again.
    sent = [one for one in vendors("requests") if one["slug"] == "tavily"][-1]
    assert re.search(r'"max_results":2[,}]', sent["body"]), sent["body"]


async def streams(own):
    kinds, last = [], None
    async for event in own.streamed.send_message(request({"data": SEARCH})):
        kinds.append(event.WhichOneof("payload"))
        last = event
    assert kinds == ["task", "artifact_update", "status_update"], kinds
    assert state(last.status_update) == "COMPLETED", last


async def gets_and_lists(own):
    task = await own.send({"data": SEARCH})
    seen = await own.get(task)
    assert (seen.id, state(seen)) == (task.id, "COMPLETED")
    assert envelope(seen) == envelope(task)
    if own.version == "0.3":
        # That version has no lists.
        await refused(NotImplementedError, own.whole.list_tasks(pb.ListTasksRequest()))
        return
    found = await own.whole.list_tasks(pb.ListTasksRequest(context_id=task.context_id, page_size=5))
    assert [one.id for one in found.tasks] == [task.id] and found.total_size == 1, found
    failed = await own.whole.list_tasks(pb.ListTasksRequest(context_id=task.context_id, status=pb.TASK_STATE_FAILED))
    assert not failed.tasks, failed
    full = await own.whole.list_tasks(pb.ListTasksRequest(context_id=task.context_id, include_artifacts=True))
    assert envelope(full.tasks[0])["status"] == "succeeded", full


async def confirms(own):
    before = mails()
    waiting = await own.send({"data": MAIL})
    assert state(waiting) == "INPUT_REQUIRED", waiting
    assert "b@mail.example" in waiting.status.message.parts[0].text, waiting.status
    declined = await own.send({"text": "no"}, waiting)
    assert state(declined) == "REJECTED", declined
    assert mails() == before
    waiting = await own.send({"data": MAIL})
    done = await own.send({"data": {"confirm": True}}, waiting)
    assert (done.id, state(done)) == (waiting.id, "COMPLETED"), done
    assert mails() == before + 1
    await refused(errors.UnsupportedOperationError, own.send({"text": "yes"}, waiting))


async def cancels(own):
    before = mails()
    waiting = await own.send({"data": MAIL})
    ended = await own.whole.cancel_task(pb.CancelTaskRequest(id=waiting.id))
    assert state(ended) == "CANCELED", ended
    await refused(errors.TaskNotCancelableError, own.whole.cancel_task(pb.CancelTaskRequest(id=waiting.id)))
    assert mails() == before


async def follows(own):
    task = await own.send({"data": SEARCH}, returnImmediately=True)
    assert state(task) in ("WORKING", "COMPLETED"), task
    try:
        async for event in own.streamed.subscribe(pb.SubscribeToTaskRequest(id=task.id)):
            if event.WhichOneof("payload") == "status_update" and state(event.status_update) == "COMPLETED":
                break
    except errors.UnsupportedOperationError:
        # It was over before anybody could follow it.
        pass
    assert state(await own.get(task)) == "COMPLETED"


async def tells_what_is_wrong(own):
    nothing = pb.GetTaskRequest(id="none")
    await refused(errors.TaskNotFoundError, own.whole.get_task(nothing))
    await refused(errors.TaskNotFoundError, own.whole.cancel_task(pb.CancelTaskRequest(id="none")))
    await refused(errors.ContentTypeNotSupportedError, own.send({"raw": "AAAA", "mediaType": "image/png"}))
    push = pb.TaskPushNotificationConfig(task_id="none", id="p", url="https://example.org/hook")
    await refused(errors.PushNotificationNotSupportedError, own.whole.create_task_push_notification_config(push))
    said = await refused(errors.A2AError, own.send({"data": {"tools": "none"}}))
    assert "tool" in said or "400" in said, said
    failed = await own.send({"data": {"tool": "tavily/search", "input": {}}})
    assert state(failed) == "FAILED" and "query" in failed.status.message.parts[0].text, failed
    async with Spoken(own.binding, own.version, key="sk-pb-v1-wrong") as nobody:
        said = await refused(A2AClientError, nobody.send({"data": SEARCH}))
        assert "401" in said, said


async def main():
    for binding, version in SPOKEN:
        async with Spoken(binding, version) as own:
            for run in [cards, sends, streams, gets_and_lists, confirms, cancels, follows, tells_what_is_wrong]:
                error = None
                try:
                    await asyncio.wait_for(run(own), 30)
                except BaseException:
                    error = traceback.format_exc()
                print(json.dumps({"name": f"{binding} {version}: {run.__name__.replace('_', ' ')}", "error": error}), flush=True)
    print(json.dumps({"end": True}), flush=True)


asyncio.run(main())
