"""The official Python SDK, unmodified, against the running Worker: only its base URL and its key are ours.

Started by python.test.mjs, which reads one line of JSON per test from standard output.
"""

import asyncio
import contextlib
import functools
import json
import os
import sys
import unittest
import urllib.request
from pathlib import Path

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

CASES = json.loads(Path(__file__).with_name("cases.json").read_text())
BASE = os.environ["PATCHBAY_BASE"]
KEY = os.environ["PATCHBAY_KEY"]
POOR_KEY = os.environ["PATCHBAY_POOR_KEY"]
UPSTREAM = os.environ["PATCHBAY_UPSTREAM"]
FIRST = CASES["models"][0]["model"]


@functools.cache
def client(key=KEY, **options):
    return OpenAI(base_url=f"{BASE}/api/v1", api_key=key, **{"max_retries": 0, "timeout": 30, **options})


def user(content):
    return {"role": "user", "content": content}


def numbers(last):
    return ", ".join(str(number) for number in range(1, last + 1))


def control(action, body=None):
    """The upstream's control routes."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{UPSTREAM}/__control/{action}", data=data, headers=headers)
    with urllib.request.urlopen(request) as response:
        return json.loads(response.read() or b"{}")


@contextlib.contextmanager
def scripted(behaviour, times=1):
    """Every provider of the models answers so; afterwards nothing is left of it."""
    control("reset", {})
    providers = [f"{name}-{case['dialect']}" for name in ("one", "two") for case in CASES["models"]]
    control("script", [{"prefix": f"/p/{slug}", "behaviour": behaviour, "times": times} for slug in providers])
    try:
        yield
    finally:
        control("reset", {})


class City(BaseModel):
    name: str
    inhabitants: int


class PerDialect:
    """What has to hold whatever the provider speaks."""

    model = ""

    def setUp(self):
        self.chat = client().chat.completions

    def test_a_chat(self):
        completion = self.chat.create(
            model=self.model,
            messages=[{"role": "system", "content": "Be brief."}, user("say exactly: Grüße, 世界 👋🏽")],
            temperature=0.3,
            max_completion_tokens=400,
        )
        self.assertEqual(completion.object, "chat.completion")
        self.assertEqual(completion.choices[0].message.content, "Grüße, 世界 👋🏽")
        self.assertEqual(completion.choices[0].finish_reason, "stop")
        usage = completion.usage
        self.assertGreater(usage.completion_tokens, 0)
        self.assertEqual(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
        self.assertGreater(usage.cost, 0)

    def test_a_stream_chunk_by_chunk(self):
        stream = self.chat.create(
            model=self.model, messages=[user("count to 40")], stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
        self.assertEqual("".join(text or "" for text in texts), numbers(40))
        self.assertGreater(len([text for text in texts if text]), 1)
        finishes = {chunk.choices[0].finish_reason for chunk in chunks if chunk.choices} - {None}
        self.assertEqual(finishes, {"stop"})
        usages = [chunk.usage for chunk in chunks if chunk.usage]
        self.assertEqual(len(usages), 1)
        self.assertGreater(usages[0].cost, 0)

    def test_the_stream_helper_folds_the_same_message(self):
        asked = {"model": self.model, "messages": [user("count to 25")]}
        with self.chat.stream(**asked, stream_options={"include_usage": True}) as stream:
            seen = "".join(event.delta for event in stream if event.type == "content.delta")
            streamed = stream.get_final_completion()
        whole = self.chat.create(**asked)
        self.assertEqual(seen, numbers(25))
        self.assertEqual(streamed.choices[0].message.content, whole.choices[0].message.content)
        self.assertEqual(streamed.usage.completion_tokens, whole.usage.completion_tokens)

    def test_tools_called_in_parallel_and_answered(self):
        asked = {"model": self.model, "tools": CASES["tools"]}
        messages = [user("get_weather in Paris and get_time in Tokyo, please")]
        with self.chat.stream(messages=messages, **asked) as stream:
            streamed = stream.get_final_completion()
        whole = self.chat.create(messages=messages, **asked)
        for completion in (streamed, whole):
            self.assertEqual(completion.choices[0].finish_reason, "tool_calls")
            calls = completion.choices[0].message.tool_calls
            self.assertEqual([call.function.name for call in calls], ["get_weather", "get_time"])
            arguments = [json.loads(call.function.arguments) for call in calls]
            self.assertEqual(arguments, [{"city": "Paris"}, {"city": "Tokyo"}])
        message = whole.choices[0].message
        messages.append(message)
        for call in message.tool_calls:
            messages.append({"role": "tool", "tool_call_id": call.id, "content": f"{call.function.name} was asked"})
        answer = self.chat.create(messages=messages, **asked).choices[0]
        self.assertEqual(answer.finish_reason, "stop")
        self.assertIn("get_weather was asked", answer.message.content)
        self.assertIn("get_time was asked", answer.message.content)

    def test_structured_output_through_the_parse_helper(self):
        asked = {"model": self.model, "messages": [user("The city is “Lyon” with 522250 inhabitants")]}
        completion = self.chat.parse(**asked, response_format=City)
        self.assertEqual(completion.choices[0].message.parsed, City(name="Lyon", inhabitants=522250))
        with self.chat.stream(**asked, response_format=City) as stream:
            streamed = stream.get_final_completion()
        self.assertEqual(streamed.choices[0].message.parsed, City(name="Lyon", inhabitants=522250))

    def test_a_limit_ends_the_answer_early(self):
        asked = {"model": self.model, "messages": [user("count to 500")]}
        self.assertEqual(self.chat.create(**asked, max_tokens=20).choices[0].finish_reason, "length")
        with self.assertRaises(openai.LengthFinishReasonError):
            self.chat.parse(**asked, max_tokens=2, response_format=City)

    def test_429_is_rate_limit_error_and_the_sdk_retries_it(self):
        asked = {"model": self.model, "messages": [user("say exactly: at last")]}
        with scripted("fault-status-429-retry-1"):
            with self.assertRaises(openai.RateLimitError) as caught:
                self.chat.create(**asked)
            self.assertEqual(caught.exception.response.headers["retry-after"], "1")
        with scripted("fault-status-429-retry-1"):
            patient = client(max_retries=2).chat.completions
            self.assertEqual(patient.create(**asked).choices[0].message.content, "at last")
            statuses = [request["status"] for request in control("requests")["requests"]]
            self.assertEqual(statuses, [429, 429, 200])

    def test_an_error_in_the_middle_of_a_stream_is_raised(self):
        with scripted("fault-error-8"):
            stream = self.chat.create(model=self.model, messages=[user("count to 60")], stream=True)
            text = ""
            with self.assertRaises(openai.APIError):
                for chunk in stream:
                    text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            self.assertTrue(text and numbers(60).startswith(text))

    def test_a_stream_that_is_closed_early_is_no_error(self):
        with scripted("fault-stall-8"):
            with self.chat.create(model=self.model, messages=[user("count to 60")], stream=True) as stream:
                text = ""
                for chunk in stream:
                    text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
                    if text:
                        break
        self.assertTrue(numbers(60).startswith(text))

    def test_a_time_out_is_its_own_exception(self):
        with scripted("fault-gate-headers"):
            with self.assertRaises(openai.APITimeoutError):
                self.chat.create(model=self.model, messages=[user("Hi")], stream=True, timeout=0.5)

    def test_the_asynchronous_client(self):
        async def ask():
            async with AsyncOpenAI(base_url=f"{BASE}/api/v1", api_key=KEY, max_retries=0) as own:
                ask = own.chat.completions.create
                whole = await ask(model=self.model, messages=[user("say exactly: one")])
                stream = await ask(model=self.model, messages=[user("count to 9")], stream=True)
                text = ""
                async for chunk in stream:
                    text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
                return whole.choices[0].message.content, text

        self.assertEqual(asyncio.run(ask()), ("one", numbers(9)))


def per_dialect(case):
    return type(case["dialect"], (PerDialect, unittest.TestCase), {"model": case["model"]})


class Errors(unittest.TestCase):
    def setUp(self):
        self.asked = {"model": FIRST, "messages": [user("Hello")]}

    def test_401(self):
        stranger = client(f"sk-pb-v1-{'0' * 64}").chat.completions
        for stream in (False, True):
            with self.assertRaises(openai.AuthenticationError):
                stranger.create(**self.asked, stream=stream)

    def test_400_names_the_field(self):
        wrong = {**self.asked, "messages": [{"role": "user", "content": [{"type": "hologram"}]}]}
        with self.assertRaises(openai.BadRequestError) as caught:
            client().chat.completions.create(**wrong)
        self.assertEqual(caught.exception.param, "messages[0].content[0].type")
        self.assertEqual(caught.exception.type, "invalid_request")

    def test_400_for_an_unknown_model_names_its_neighbours(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            client().chat.completions.create(**{**self.asked, "model": "test/opnai"})
        self.assertEqual(caught.exception.param, "model")
        self.assertIn("test/openai", caught.exception.message)

    def test_402(self):
        with self.assertRaises(openai.APIStatusError) as caught:
            client(POOR_KEY).chat.completions.create(**self.asked)
        self.assertEqual(caught.exception.status_code, 402)
        self.assertEqual(caught.exception.type, "payment_required")

    def test_404(self):
        with self.assertRaises(openai.NotFoundError):
            client().models.retrieve("nobody/nothing")

    def test_5xx_is_retried_and_raised_at_the_end(self):
        with scripted("fault-status-503", times=2):
            with self.assertRaises(openai.InternalServerError):
                client(max_retries=1).chat.completions.create(**self.asked)
            self.assertEqual([request["status"] for request in control("requests")["requests"]], [503] * 4)


class Models(unittest.TestCase):
    def test_the_list_awaited_and_iterated(self):
        page = client().models.list()
        ids = [model.id for model in page.data]
        for case in CASES["models"]:
            self.assertIn(case["model"], ids)
        self.assertEqual([model.id for model in client().models.list()], ids)
        self.assertEqual([len(each.data) for each in page.iter_pages()], [len(ids)])

    def test_one_of_them(self):
        found = client().models.retrieve(FIRST)
        self.assertEqual((found.id, found.object), (FIRST, "model"))


class Report(unittest.TestResult):
    """One line of JSON for each test that ended."""

    def tell(self, test, error=None):
        name = f"{type(test).__name__}: {test._testMethodName.removeprefix('test_').replace('_', ' ')}"
        print(json.dumps({"name": name, "error": error}), flush=True)

    def addSuccess(self, test):
        self.tell(test)

    def addFailure(self, test, err):
        self.tell(test, self._exc_info_to_string(err, test))

    addError = addFailure


def report(cases):
    """Runs the tests, one line for each."""
    load = unittest.defaultTestLoader.loadTestsFromTestCase
    unittest.TestSuite(load(case) for case in cases).run(Report())
    print(json.dumps({"end": True}))


if __name__ == "__main__":
    sys.exit(report([per_dialect(case) for case in CASES["models"]] + [Errors, Models]))
