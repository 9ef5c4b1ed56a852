"""The table of clients, in Python: each does text, a stream, tools, structured output, an error and a cancel.

Started by clients.test.mjs, which reads one line of JSON per cell from standard output, and checks what a cancel left behind.
"""

import json
import sys
import traceback
import urllib.request
from os import environ

import anthropic
import openai
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langchain_openrouter import ChatOpenRouter
from pydantic import BaseModel

from sdk import BASE, CASES, control, numbers, user

FUNCTIONS = [case["function"] for case in CASES["tools"]]
ENOUGH = 20


class City(BaseModel):
    name: str
    inhabitants: int


def run(name, city):
    return {"get_weather": f"mild in {city}", "get_time": f"noon in {city}"}[name]


class Chat:
    def __init__(self, key):
        self.chat = openai.OpenAI(base_url=f"{BASE}/api/v1", api_key=key, max_retries=0, timeout=30).chat.completions

    def text(self, model, prompt):
        return self.chat.create(model=model, messages=[user(prompt)]).choices[0].message.content

    def stream(self, model, prompt):
        with self.chat.create(model=model, messages=[user(prompt)], stream=True) as stream:
            for chunk in stream:
                if chunk.choices and chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content

    def tools(self, model, prompt):
        asked = {"model": model, "tools": CASES["tools"]}
        message = self.chat.create(messages=[user(prompt)], **asked).choices[0].message
        results = [
            {"role": "tool", "tool_call_id": call.id, "content": run(call.function.name, **json.loads(call.function.arguments))}
            for call in message.tool_calls
        ]
        return self.chat.create(messages=[user(prompt), message, *results], **asked).choices[0].message.content

    def structured(self, model, prompt):
        return self.chat.parse(model=model, messages=[user(prompt)], response_format=City).choices[0].message.parsed


class Responses:
    def __init__(self, key):
        self.responses = openai.OpenAI(base_url=f"{BASE}/api/v1", api_key=key, max_retries=0, timeout=30).responses

    def text(self, model, prompt):
        return self.responses.create(model=model, input=prompt).output_text

    def stream(self, model, prompt):
        with self.responses.create(model=model, input=prompt, stream=True) as stream:
            for event in stream:
                if event.type == "response.output_text.delta":
                    yield event.delta

    def tools(self, model, prompt):
        asked = {"model": model, "tools": [{"type": "function", "strict": True, **each} for each in FUNCTIONS]}
        output = self.responses.create(input=[user(prompt)], **asked).output
        results = [
            {"type": "function_call_output", "call_id": call.call_id, "output": run(call.name, **json.loads(call.arguments))}
            for call in output
            if call.type == "function_call"
        ]
        return self.responses.create(input=[user(prompt), *output, *results], **asked).output_text

    def structured(self, model, prompt):
        return self.responses.parse(model=model, input=prompt, text_format=City).output_parsed


class Messages:
    def __init__(self, key):
        self.messages = anthropic.Anthropic(base_url=f"{BASE}/api", api_key=key, max_retries=0, timeout=30).messages

    def asked(self, model, prompt, **more):
        return {"model": model, "max_tokens": 4000, "messages": [user(prompt)], **more}

    @staticmethod
    def words(message):
        return "".join(block.text for block in message.content if block.type == "text")

    def text(self, model, prompt):
        return self.words(self.messages.create(**self.asked(model, prompt)))

    def stream(self, model, prompt):
        with self.messages.stream(**self.asked(model, prompt)) as stream:
            yield from stream.text_stream

    def tools(self, model, prompt):
        tools = [{"name": each["name"], "description": each["description"], "input_schema": each["parameters"]} for each in FUNCTIONS]
        asked = self.asked(model, prompt, tools=tools)
        content = self.messages.create(**asked).content
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": run(call.name, **call.input)}
            for call in content
            if call.type == "tool_use"
        ]
        turns = [user(prompt), {"role": "assistant", "content": content}, user(results)]
        return self.words(self.messages.create(**{**asked, "messages": turns}))

    def structured(self, model, prompt):
        return self.messages.parse(**self.asked(model, prompt), output_format=City).parsed_output


@tool
def get_weather(city: str) -> str:
    """The weather of a city"""
    return run("get_weather", city)


@tool
def get_time(city: str) -> str:
    """The time in a city"""
    return run("get_time", city)


class LangChain:
    """Any of LangChain's chat models, made by `llm`."""

    TOOLS = {"get_weather": get_weather, "get_time": get_time}

    def text(self, model, prompt):
        return str(self.llm(model).invoke(prompt).text)

    def stream(self, model, prompt):
        for chunk in self.llm(model).stream(prompt):
            if str(chunk.text):
                yield str(chunk.text)

    def tools(self, model, prompt):
        bound = self.llm(model).bind_tools(list(self.TOOLS.values()))
        question = HumanMessage(prompt)
        asked = bound.invoke([question])
        results = [
            ToolMessage(tool_call_id=call["id"], content=self.TOOLS[call["name"]].invoke(call["args"])) for call in asked.tool_calls
        ]
        return str(bound.invoke([question, asked, *results]).text)

    def structured(self, model, prompt):
        return self.llm(model).with_structured_output(City).invoke(prompt)


class LangChainOpenAI(LangChain):
    def __init__(self, key):
        self.llm = lambda model: ChatOpenAI(model=model, api_key=key, base_url=f"{BASE}/api/v1", max_retries=0)


class LangChainAnthropic(LangChain):
    def __init__(self, key):
        self.llm = lambda model: ChatAnthropic(model=model, api_key=key, base_url=f"{BASE}/api", max_retries=0, max_tokens=4000)


class LangChainOpenRouter(LangChain):
    # Its SDK repeats whatever is 5xx for an hour, also where no retries are asked for.
    refusal = 400

    def __init__(self, key):
        self.llm = lambda model: ChatOpenRouter(model=model, api_key=key, base_url=f"{BASE}/api/v1", max_retries=0)


CLIENTS = {
    "openai, chat (Python)": Chat,
    "openai, responses (Python)": Responses,
    "anthropic (Python)": Messages,
    "langchain-openai (Python)": LangChainOpenAI,
    "langchain-anthropic (Python)": LangChainAnthropic,
    "langchain-openrouter (Python)": LangChainOpenRouter,
}


def script(dialect, behaviour):
    control("script", [{"prefix": f"/p/{name}-{dialect}", "behaviour": behaviour, "times": None} for name in ("one", "two")])


def text(client, model, _):
    assert client.text(model, "say exactly: Grüße, 世界 👋🏽") == "Grüße, 世界 👋🏽"


def stream(client, model, _):
    pieces = list(client.stream(model, "count to 25"))
    assert len(pieces) > 1, pieces
    assert "".join(pieces) == numbers(25), pieces


def tools(client, model, _):
    answer = client.tools(model, "get_weather in Paris and get_time in Tokyo, please")
    assert "mild in Paris" in answer and "noon in Tokyo" in answer, answer


def structured(client, model, _):
    city = client.structured(model, "The city is “Lyon” with 522250 inhabitants")
    assert city == City(name="Lyon", inhabitants=522250), city


def error(client, model, dialect):
    refusal = getattr(client, "refusal", 503)
    script(dialect, f"fault-status-{refusal}")
    try:
        answer = client.text(model, "Hello")
    except Exception as caught:  # each client has an exception of its own
        assert getattr(caught, "status_code", None) == refusal, repr(caught)
    else:
        raise AssertionError(f"no error, but {answer!r}")


def cancel(client, model, dialect):
    script(dialect, "fault-endless")
    pieces = client.stream(model, "count to 9")
    for seen, _ in enumerate(pieces, 1):
        if seen == ENOUGH:
            break
    pieces.close()


FEATURES = {"text": text, "stream": stream, "tools": tools, "structured output": structured, "error": error, "cancel": cancel}


def account():
    """An account of its own with credits and a key."""

    def post(path, body):
        headers = {"authorization": f"Bearer {environ['PATCHBAY_OPERATOR_TOKEN']}", "content-type": "application/json"}
        request = urllib.request.Request(f"{BASE}/api/v1/admin/{path}", data=json.dumps(body).encode(), headers=headers)
        with urllib.request.urlopen(request) as response:
            return json.loads(response.read())

    made = post("accounts", {"name": "python"})["data"]["id"]
    post(f"accounts/{made}/grants", {"id": made, "amount_usd": "5"})
    return made, post(f"accounts/{made}/keys", {"name": "python"})["key"]


def cell(name, feature, case):
    told = {"name": f"{name}: {feature}, {case['dialect']} upstream", "cell": [name, feature, case["dialect"]], "error": None}
    control("reset", {})
    try:
        told["account"], key = account()
        FEATURES[feature](CLIENTS[name](key), case["model"], case["dialect"])
    except Exception:
        told["error"] = traceback.format_exc()
    print(json.dumps(told), flush=True)
    # What a cancel left at the upstream is read first: the next cell begins when the reader says so.
    sys.stdin.readline()


if __name__ == "__main__":
    for name in CLIENTS:
        for feature in FEATURES:
            for case in CASES["models"]:
                cell(name, feature, case)
    control("reset", {})
    print(json.dumps({"end": True}))
