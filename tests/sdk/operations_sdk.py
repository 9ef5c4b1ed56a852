"""The official Python SDK, unmodified, for operations beside conversation: only its base URL and its key are ours.

Started by python.test.mjs, which reads one line of JSON per test from standard output.
"""

import asyncio
import contextlib
import io
import json
import os
import sys
import unittest

import openai
from openai import AsyncOpenAI

from sdk import BASE, KEY, POOR_KEY, client, control, report

VECTORS = json.loads(os.environ["VECTORS"])
MODEL = "test/embeddings"


@contextlib.contextmanager
def faults(behaviour, times=1):
    control("reset", {})
    control("script", [{"prefix": f"/p/{name}-ops", "behaviour": behaviour, "times": times} for name in ("one", "two")])
    try:
        yield
    finally:
        control("release", {})
        control("reset", {})


class Embeddings(unittest.TestCase):
    def test_several_texts_which_the_sdk_asks_for_in_base64_by_itself(self):
        answer = client().embeddings.create(model=MODEL, input=["one", "two"])
        self.assertEqual([each.embedding for each in answer.data], [VECTORS["one"], VECTORS["two"]])
        self.assertEqual([each.index for each in answer.data], [0, 1])
        self.assertGreater(answer.usage.prompt_tokens, 0)
        self.assertGreater(answer.usage.cost, 0)
        self.assertEqual(control("requests")["requests"][-1]["body"]["encoding_format"], "base64")

    def test_numbers_of_a_chosen_length(self):
        answer = client().embeddings.create(model=MODEL, input=[[1, 2], [3]], dimensions=4, encoding_format="float")
        self.assertEqual([len(each.embedding) for each in answer.data], [4, 4])

    def test_the_asynchronous_client(self):
        async def ask():
            async with AsyncOpenAI(base_url=f"{BASE}/api/v1", api_key=KEY, max_retries=0) as own:
                return (await own.embeddings.create(model=MODEL, input="one")).data[0].embedding

        self.assertEqual(asyncio.run(ask()), VECTORS["one"])

    def test_errors_are_the_sdks_own_exceptions(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            client().embeddings.create(model=MODEL, input=[])
        self.assertEqual(caught.exception.param, "input")
        with self.assertRaises(openai.APIStatusError) as caught:
            client(POOR_KEY).embeddings.create(model=MODEL, input="one " * 500)
        self.assertEqual(caught.exception.status_code, 402)
        with faults("fault-status-429-retry-2"), self.assertRaises(openai.RateLimitError) as caught:
            client().embeddings.create(model=MODEL, input="one")
        self.assertEqual(caught.exception.response.headers["retry-after"], "2")

    def test_a_time_out_is_its_own_exception(self):
        with faults("fault-gate-headers"), self.assertRaises(openai.APITimeoutError):
            client().embeddings.create(model=MODEL, input="one", timeout=0.5)


class Others(unittest.TestCase):
    def test_images(self):
        answer = client().images.generate(model="test/images", prompt="a fox", n=2, size="1024x1024")
        self.assertEqual([bool(each.b64_json) for each in answer.data], [True, True])

    def test_speech_read_as_it_comes(self):
        speech = client().audio.speech.with_streaming_response
        asked = {"model": "test/speech", "voice": "alloy", "input": "Hello", "response_format": "mp3"}
        with speech.create(**asked) as response:
            self.assertEqual(sum(len(piece) for piece in response.iter_bytes()), 480 * len("Hello"))

    def test_transcription_for_which_the_sdk_sends_a_form(self):
        file = io.BytesIO(bytes(3_000))
        file.name = "talk.mp3"
        answer = client().audio.transcriptions.create(model="test/transcription", file=file)
        self.assertEqual(answer.text, "A file of 3000 bytes named talk.mp3.")


if __name__ == "__main__":
    sys.exit(report([Embeddings, Others]))
