"""The client: requests over urllib, retries with idempotency keys, streams, and the few calls that have names of their own.

What the API is stands in ``operations.py`` and ``types.py``, which are generated from the gateway's OpenAPI document.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from http.client import HTTPException
from typing import Any, Callable, Iterator, Literal, Mapping, overload

from . import types as t
from .errors import ConnectionFailed, PatchbayError, kind_of
from .operations import OPERATIONS, OperationId

# Statuses after which a request is worth another try.
_PASSING = {408, 429, 500, 502, 503, 504, 529}
# The longest wait that a server may ask for, in seconds.
_MAX_WAIT = 60.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    # The key is for this gateway alone.
    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


class Patchbay:
    """A gateway and a key."""

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        max_retries: int = 2,
        timeout: float = 600.0,
        headers: Mapping[str, str] | None = None,
    ):
        self._key = api_key or os.environ.get("PATCHBAY_API_KEY")
        base = base_url or os.environ.get("PATCHBAY_BASE_URL")
        if not base:
            raise ValueError("base_url is missing: the address of the gateway, or PATCHBAY_BASE_URL")
        self.base_url = re.sub(r"/(?:api/)?v1$", "", base.rstrip("/"))
        self.max_retries = max_retries
        self.timeout = timeout
        self.headers = dict(headers or {})
        self.chat = Chat(self)
        self.responses = _Creator(self, "postResponses")
        self.messages = _Creator(self, "postMessages")
        self.embeddings = _Creator(self, "postEmbeddings")
        self.models = Models(self)
        self.tools = Tools(self)

    def call(
        self,
        operation: OperationId,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        **options: Any,
    ) -> Any:
        """Calls an operation of the API by its name in the OpenAPI document. JSON is read, other bodies are bytes."""
        method, template = OPERATIONS[operation]
        with self.request(method, _filled(template, path or {}) + _searched(query or {}), body=body, **options) as response:
            data = response.read()
            if response.status == 204:
                return None
            return json.loads(data) if "json" in response.headers.get("content-type", "") else data

    def stream(
        self,
        operation: OperationId,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any],
        **options: Any,
    ) -> Iterator[Any]:
        """The same for an operation that streams: the JSON of its events. Who stops listening ends the request."""
        method, template = OPERATIONS[operation]
        target = _filled(template, path or {}) + _searched(query or {})
        with self.request(method, target, body={**body, "stream": True}, **options) as response:
            yield from _events(response)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        max_retries: int | None = None,
        timeout: float | None = None,
    ) -> Any:
        """One request, tried again where that is safe and of use. Errors are raised."""
        sent = {"accept": "application/json, text/event-stream", **self.headers, **(headers or {})}
        if self._key:
            sent["authorization"] = f"Bearer {self._key}"
        if idempotency_key:
            sent["idempotency-key"] = idempotency_key
        data = None
        if body is not None:
            sent["content-type"] = "application/json"
            data = json.dumps(body).encode()
        tries = self.max_retries if max_retries is None else max_retries
        for tried in range(tries + 1):
            request = urllib.request.Request(self.base_url + path, data=data, headers=sent, method=method)
            try:
                return _OPENER.open(request, timeout=self.timeout if timeout is None else timeout)
            except urllib.error.HTTPError as error:
                failure = _refusal(error)
            except (OSError, HTTPException) as error:
                failure = ConnectionFailed(f"no answer from {self.base_url}: {error}")
                failure.__cause__ = error
            if tried >= tries or not _is_worth_another(failure, method, idempotency_key):
                raise failure
            own = min(8.0, 0.5 * 2**tried) * (0.75 + random.random() / 4)
            time.sleep(min(_MAX_WAIT, own if failure.retry_after is None else failure.retry_after))
        raise AssertionError("unreachable")


class _Creator:
    def __init__(self, client: Patchbay, operation: OperationId):
        self._client = client
        self._operation: OperationId = operation

    def create(self, *, stream: bool = False, options: Mapping[str, Any] | None = None, **body: Any) -> Any:
        """The fields of the body by name. With ``stream=True`` an iterator of events."""
        if stream:
            return self._client.stream(self._operation, body=body, **(options or {}))
        return self._client.call(self._operation, body=body, **(options or {}))


class _Completions(_Creator):
    @overload
    def create(self, *, stream: Literal[True], options: Mapping[str, Any] | None = None, **body: Any) -> Iterator[Any]: ...
    @overload
    def create(self, *, stream: Literal[False] = False, options: Mapping[str, Any] | None = None, **body: Any) -> t.ChatCompletion: ...
    def create(self, *, stream: bool = False, options: Mapping[str, Any] | None = None, **body: Any) -> Any:
        return super().create(stream=stream, options=options, **body)


class Chat:
    """Chat completions."""

    def __init__(self, client: Patchbay):
        self.completions = _Completions(client, "postChatCompletions")


class Models:
    """The catalog of models."""

    def __init__(self, client: Patchbay):
        self._client = client

    def list(self, **query: Any) -> Any:
        return self._client.call("getModels", query=query)

    def get(self, model: str) -> Any:
        author, _, slug = model.partition("/")
        return self._client.call("getModelByAuthorBySlug", path={"author": author, "slug": slug})


class Tools:
    """Tools of the gateway's catalog."""

    def __init__(self, client: Patchbay):
        self._client = client

    def list(self, **query: Any) -> Any:
        """What the key may call. With ``format`` they are functions for a model's API."""
        return self._client.call("getTools", query=query)

    def categories(self) -> Any:
        return self._client.call("getToolsCategories")

    def get(self, tool: str) -> Any:
        """One tool, with the schema of its input."""
        provider, _, operation = tool.partition("/")
        return self._client.call("getToolsByProviderByOperation", path={"provider": provider, "operation": operation})

    def execute(
        self,
        tool: str,
        input: Mapping[str, Any],  # noqa: A002
        *,
        idempotency_key: str | None = None,
        on_confirm: Callable[[t.ToolConfirmation, t.Execution], bool] | None = None,
        options: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> t.Execution:
        """Runs a tool. The same ``idempotency_key`` never runs it twice; where none is given each call gets one, so that its
        retries are safe. ``on_confirm`` is asked about what has to be confirmed first."""
        key = idempotency_key or str(uuid.uuid4())
        body = {"tool": tool, "input": input, **more}

        def call(body: Any) -> t.Execution:
            return self._client.call("postToolsExecute", body=body, idempotency_key=key, **(options or {}))

        envelope = call(body)
        if envelope.get("status") != "confirmation_required" or on_confirm is None:
            return envelope
        asked = envelope["confirmation"]
        return call({**body, "confirmation": asked["token"]}) if on_confirm(asked, envelope) else envelope

    def confirm(self, tool: str, input: Mapping[str, Any], envelope: t.Execution, **more: Any) -> t.Execution:  # noqa: A002
        """Runs a tool that asked for a confirmation: the same input, and the envelope that asked."""
        return self.execute(tool, input, confirmation=envelope["confirmation"]["token"], **more)

    def run(self, answer: Mapping[str, Any], *, idempotency_key: str | None = None, **more: Any) -> t.ToolRun:
        """Runs the calls of a model's answer: an assistant's message, or a whole answer of any of the APIs."""
        kept = ("choices", "output", "content")
        body = {"message": answer} if answer.get("role") == "assistant" else {name: answer[name] for name in kept if name in answer}
        return self._client.call("postToolsRun", body={**body, **more}, idempotency_key=idempotency_key)

    def execution(self, id: str) -> t.Execution:  # noqa: A002
        return self._client.call("getToolsExecutionsById", path={"id": id})


def _filled(template: str, params: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return urllib.parse.quote(str(params[match[1]]), safe="")

    return re.sub(r"\{(\w+)\}", value, template)


def _searched(query: Mapping[str, Any]) -> str:
    def text(value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)

    pairs = [(name, text(value)) for name, value in query.items() if value is not None]
    return "?" + urllib.parse.urlencode(pairs) if pairs else ""


def _events(response: Any) -> Iterator[Any]:
    data: list[str] = []
    for raw in response:
        line = raw.decode().rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        if line or not data:
            continue
        text = "\n".join(data)
        data = []
        if text == "[DONE]":
            return
        event = json.loads(text)
        error = event.get("error") if isinstance(event, dict) else None
        if error and event.get("type") != "response.failed":
            code = error.get("code")
            status = code if isinstance(code, int) else 500
            raise kind_of(status)(error.get("message", "the stream failed"), status=status, body=event, headers=_lower(response.headers))
        yield event


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _refusal(error: urllib.error.HTTPError) -> PatchbayError:
    with error:
        data = error.read()
    try:
        body = json.loads(data)
    except ValueError:
        body = None
    told = body.get("error") if isinstance(body, dict) else None
    message = told.get("message") if isinstance(told, dict) else None
    return kind_of(error.code)(message or data[:500].decode(errors="replace") or str(error.reason), status=error.code, body=body, headers=_lower(error.headers))


def _is_worth_another(failure: PatchbayError, method: str, idempotency_key: str | None) -> bool:
    # A conflict passes only where it is the same request that is still under way.
    if failure.status == 409:
        return failure.code == "idempotency_in_progress" or failure.retry_after is not None
    if failure.status is not None:
        return failure.status in _PASSING
    # Where no answer came it may have been done.
    return method == "GET" or idempotency_key is not None
