"""PyPI's MCP client, unmodified, in both eras. Reports one line of JSON per test."""

import asyncio
import json
import os
import sys
import traceback

from mcp import Client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

BASE = os.environ["PATCHBAY_BASE"]
KEY = os.environ["PATCHBAY_KEY"]


def connected(mode, **options):
    http = create_mcp_http_client(headers={"authorization": f"Bearer {KEY}"})
    return Client(streamable_http_client(f"{BASE}/mcp", http_client=http), mode=mode, **options)


async def lists_and_calls(mode):
    async with connected(mode) as client:
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools][:2] == ["demo__search", "demo__slow_search"], tools
        result = await client.call_tool("demo__search", {"query": "lamp"})
        assert not result.is_error, result
        assert result.structured_content["result"]["items"][0]["title"] == "A lamp", result


async def tells_what_is_wrong(mode):
    async with connected(mode) as client:
        wrong = await client.call_tool("demo__search", {"query": 7})
        assert wrong.is_error, wrong
        try:
            await client.call_tool("demo__nothing", {})
        except Exception as error:
            assert "Unknown tool" in str(error), error
        else:
            raise AssertionError("an unknown tool was called")


async def confirms(mode):
    from mcp.types import ElicitResult

    for action, content, is_error in [("decline", None, True), ("accept", {"confirm": True}, False)]:

        async def answer(context, params, action=action, content=content):
            assert "umbrella" in params.message, params
            return ElicitResult(action=action, content=content)

        async with connected(mode, elicitation_callback=answer) as client:
            result = await client.call_tool("demo__throw_away", {"thing": "umbrella"})
            assert bool(result.is_error) == is_error, result


async def main():
    for mode in ["legacy", "auto"]:
        for run in [lists_and_calls, tells_what_is_wrong, confirms]:
            error = None
            try:
                await asyncio.wait_for(run(mode), 60)
            except BaseException:
                error = traceback.format_exc()
            print(json.dumps({"name": f"mcp 2.3.0, {mode}: {run.__name__.replace('_', ' ')}", "error": error}), flush=True)
    print(json.dumps({"end": True}), flush=True)


asyncio.run(main())
sys.exit(0)
