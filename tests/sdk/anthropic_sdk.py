"""Anthropic's Python SDK, unmodified, against the running Worker: only its base URL and its key are ours.

Started by python.test.mjs, which reads one line of JSON per test from standard output.
"""

import asyncio
import functools
import sys
import unittest

import anthropic
from anthropic import Anthropic, AsyncAnthropic
from pydantic import BaseModel

from sdk import BASE, CASES, FIRST, KEY, POOR_KEY, control, numbers, report, scripted, user

ROOT = f"{BASE}/api"
TOOLS = [
    {
        "name": tool["function"]["name"],
        "description": tool["function"]["description"],
        "input_schema": tool["function"]["parameters"],
    }
    for tool in CASES["tools"]
]


@functools.cache
def client(key=KEY, **options):
    return Anthropic(base_url=ROOT, api_key=key, **{"max_retries": 0, "timeout": 30, **options})


def words(message):
    return "".join(block.text for block in message.content if block.type == "text")


class City(BaseModel):
    name: str
    inhabitants: int


class PerDialect:
    """What has to hold whatever the provider speaks."""

    model = ""

    def asked(self, content, **more):
        return {"model": self.model, "max_tokens": 4000, "messages": [user(content)], **more}

    def test_a_message(self):
        message = client().messages.create(**self.asked("say exactly: Grüße, 世界 👋🏽", system="Be brief."))
        self.assertEqual(words(message), "Grüße, 世界 👋🏽")
        self.assertEqual(message.stop_reason, "end_turn")
        self.assertTrue(message.usage.input_tokens > 0 and message.usage.output_tokens > 0)

    def test_a_stream(self):
        with client().messages.stream(**self.asked("count to 25")) as stream:
            pieces = list(stream.text_stream)
            message = stream.get_final_message()
        self.assertGreater(len(pieces), 1)
        self.assertEqual("".join(pieces), numbers(25))
        whole = client().messages.create(**self.asked("count to 25"))
        self.assertEqual(words(message), words(whole))
        self.assertEqual(message.usage.output_tokens, whole.usage.output_tokens)

    def test_parallel_tool_calls_and_their_results(self):
        asked = self.asked("get_weather in Paris and get_time in Tokyo, please", tools=TOOLS)
        with client().messages.stream(**asked) as stream:
            streamed = stream.get_final_message()
        for message in (client().messages.create(**asked), streamed):
            self.assertEqual(message.stop_reason, "tool_use")
            calls = [block for block in message.content if block.type == "tool_use"]
            self.assertEqual(
                [(call.name, call.input) for call in calls],
                [("get_weather", {"city": "Paris"}), ("get_time", {"city": "Tokyo"})],
            )
            results = [
                {"type": "tool_result", "tool_use_id": call.id, "content": f"{call.name} of {call.input['city']}"}
                for call in calls
            ]
            turns = [*asked["messages"], {"role": "assistant", "content": message.content}, user(results)]
            last = client().messages.create(**{**asked, "messages": turns})
            self.assertIn("get_weather of Paris", words(last))
            self.assertIn("get_time of Tokyo", words(last))

    def test_thinking_goes_back_as_it_came(self):
        asked = self.asked("get_weather in Paris", tools=TOOLS, thinking={"type": "enabled", "budget_tokens": 1500})
        with client().messages.stream(**asked) as stream:
            message = stream.get_final_message()
        self.assertEqual(message.content[0].type, "thinking")
        (call,) = [block for block in message.content if block.type == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": call.id, "content": "rain"}]
        turns = [*asked["messages"], {"role": "assistant", "content": message.content}, user(results)]
        self.assertIn("rain", words(client().messages.create(**{**asked, "messages": turns})))

    def test_structured_output_through_the_parse_helper(self):
        message = client().messages.parse(**self.asked("Paris"), output_format=City)
        self.assertIsInstance(message.parsed_output, City)

    def test_an_error_in_the_middle_of_a_stream_is_raised(self):
        with scripted("fault-error-8"):
            text = ""
            with self.assertRaises(anthropic.APIError):
                with client().messages.stream(**self.asked("count to 60")) as stream:
                    for piece in stream.text_stream:
                        text += piece
            self.assertTrue(text and numbers(60).startswith(text))

    def test_a_stream_that_is_closed_early_is_no_error(self):
        with scripted("fault-stall-8"):
            with client().messages.create(**self.asked("count to 60"), stream=True) as stream:
                for event in stream:
                    if event.type == "content_block_delta":
                        break

    def test_the_asynchronous_client(self):
        async def ask():
            async with AsyncAnthropic(base_url=ROOT, api_key=KEY, max_retries=0) as own:
                whole = await own.messages.create(**self.asked("say exactly: one"))
                async with own.messages.stream(**self.asked("count to 9")) as stream:
                    return words(whole), await stream.get_final_text()

        self.assertEqual(asyncio.run(ask()), ("one", numbers(9)))


def per_dialect(case):
    return type(case["dialect"], (PerDialect, unittest.TestCase), {"model": case["model"]})


class Errors(unittest.TestCase):
    def setUp(self):
        self.asked = {"model": FIRST, "max_tokens": 9, "messages": [user("Hello")]}

    def test_401(self):
        with self.assertRaises(anthropic.AuthenticationError):
            client(f"sk-pb-v1-{'0' * 64}").messages.create(**self.asked)

    def test_400_names_the_field(self):
        with self.assertRaises(anthropic.BadRequestError) as caught:
            client().messages.create(**{**self.asked, "messages": [user([{"type": "image"}])]})
        self.assertEqual(caught.exception.body["error"]["param"], "messages[0].content[0].source")

    def test_402(self):
        with self.assertRaises(anthropic.APIStatusError) as caught:
            client(POOR_KEY).messages.create(**self.asked)
        self.assertEqual(caught.exception.status_code, 402)
        self.assertEqual(caught.exception.body["error"]["type"], "billing_error")

    def test_429_is_retried(self):
        with scripted("fault-status-429"):
            patient = client(max_retries=2).messages
            self.assertEqual(patient.create(**self.asked).type, "message")
            statuses = [request["status"] for request in control("requests")["requests"]]
            self.assertEqual(statuses, [429, 429, 200])

    def test_tokens_are_counted(self):
        counted = client().messages.count_tokens(model=FIRST, messages=self.asked["messages"], tools=TOOLS)
        self.assertGreater(counted.input_tokens, 10)


if __name__ == "__main__":
    sys.exit(report([per_dialect(case) for case in CASES["models"]] + [Errors]))
