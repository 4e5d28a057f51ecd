"""Drives a running `akin serve` with the client libraries that people use. Arguments: URL, model, cross-encoder, index, key."""

import asyncio
import sys

import cohere
import ollama
import openai
from mcp import ClientSession
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

url, model, reranker, index, key = sys.argv[1:]
TEXTS = ["a man is eating food", "somebody has a meal", "the stock market fell"]


def near(a, b):
    return len(a) == len(b) and all(abs(x - y) < 1e-6 for x, y in zip(a, b))


client = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0)
# Without encoding_format the package asks for base64 and decodes it.
packed = client.embeddings.create(model=model, input=TEXTS)
plain = client.embeddings.create(model=model, input=TEXTS, encoding_format="float")
assert [item.index for item in packed.data] == [0, 1, 2]
assert all(near(a.embedding, b.embedding) for a, b in zip(packed.data, plain.data))
assert packed.usage.prompt_tokens == packed.usage.total_tokens > 10
assert any(found.id.endswith(model) for found in client.models.list())
try:
    client.embeddings.create(model=model, input="a", dimensions=3)
    raise AssertionError("dimensions were accepted")
except openai.BadRequestError as error:
    assert error.body["param"] == "dimensions", error.body
try:
    client.embeddings.create(model="none", input="a")
    raise AssertionError("a model that is not there was accepted")
except openai.NotFoundError as error:
    assert "none" in error.body["message"], error.body
try:
    openai.OpenAI(base_url=url + "/v1", api_key="wrong", max_retries=0).models.list()
    raise AssertionError("a wrong key was accepted")
except openai.AuthenticationError as error:
    assert error.body["code"] == "invalid_api_key", error.body
page = client.vector_stores.search(index, query="note 7", max_num_results=2)
assert len(page.data) == 2 and page.data[0].content[0].text, page

ranked = cohere.ClientV2(api_key=key, base_url=url).rerank(model=reranker, query=TEXTS[0], documents=TEXTS, top_n=2)
assert len(ranked.results) == 2 and ranked.results[0].relevance_score >= ranked.results[1].relevance_score
assert all(0 <= result.relevance_score <= 1 for result in ranked.results)

answer = ollama.Client(host=url, headers={"Authorization": f"Bearer {key}"}).embed(model=model, input=TEXTS)
assert all(near(a, b.embedding) for a, b in zip(answer.embeddings, plain.data)), "ollama"


async def agent():
    http = create_mcp_http_client(headers={"Authorization": f"Bearer {key}"})
    async with streamable_http_client(url + "/mcp", http_client=http) as streams, ClientSession(*streams[:2]) as session:
        await session.initialize()
        assert [tool.name for tool in (await session.list_tools()).tools] == ["search", "fetch", "status"]
        found = (await session.call_tool("search", {"query": "note 7", "limit": 2})).model_dump(by_alias=True)
        results = found["structuredContent"]["results"]
        assert len(results) == 2 and set(results[0]) == {"id", "title", "url"}, found
        document = (await session.call_tool("fetch", {"id": results[0]["id"]})).model_dump(by_alias=True)
        assert document["structuredContent"]["text"], document
        wrong = (await session.call_tool("search", {"query": "a", "max": 2})).model_dump(by_alias=True)
        assert wrong["isError"] and "max" in wrong["content"][0]["text"], wrong


asyncio.run(agent())
print("ok")
