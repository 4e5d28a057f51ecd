"""Drives a running `akin serve` with the client libraries that people use.

Arguments: URL, model, cross-encoder, index, a key that reads and one that may do all. Where the environment has AKIN, the path of the program,
and AKIN_INDEX, an index that it may open, `akin mcp` is driven over stdin and stdout too.
"""

import asyncio
import os
import sys
import uuid

import cohere
import ollama
import openai
from haystack import Document as HaystackDocument
from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
from haystack.utils import Secret
from langchain_core.documents import Document
from langchain_openai import OpenAIEmbeddings
from langchain_qdrant import QdrantVectorStore
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

url, model, reranker, index, key, admin = sys.argv[1:]
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
assert len(client.embeddings.create(model=model, input="a", dimensions=3).data[0].embedding) == 3
try:
    client.embeddings.create(model=model, input="a", dimensions=100_000)
    raise AssertionError("more dimensions than the model has were accepted")
except openai.BadRequestError as error:
    assert error.body["param"] == "dimensions", error.body
# The ids of a text for OpenAI's models, as LangChain sends them by default: they spell other words here.
try:
    client.embeddings.create(model=model, input=[[64, 893, 374, 12459, 3691]])
    raise AssertionError("token ids of another vocabulary were accepted")
except openai.BadRequestError as error:
    assert "check_embedding_ctx_length" in error.body["message"], error.body
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


langchain = OpenAIEmbeddings(model=model, base_url=url + "/v1", api_key=key, check_embedding_ctx_length=False)
assert all(near(a, b.embedding) for a, b in zip(langchain.embed_documents(TEXTS), plain.data)), "langchain"
assert near(langchain.embed_query(TEXTS[1]), plain.data[1].embedding), "langchain"

secret = Secret.from_token(key)
haystack = OpenAITextEmbedder(model=model, api_base_url=url + "/v1", api_key=secret).run(TEXTS[0])
assert near(haystack["embedding"], plain.data[0].embedding) and haystack["meta"]["usage"]["total_tokens"] > 0, "haystack"
documents = OpenAIDocumentEmbedder(model=model, api_base_url=url + "/v1", api_key=secret, progress_bar=False)
documents = documents.run([HaystackDocument(content=text) for text in TEXTS])["documents"]
assert all(near(a.embedding, b.embedding) for a, b in zip(documents, plain.data)), "haystack"


def qdrant():
    client = QdrantClient(url=url, api_key=admin, prefer_grpc=False, check_compatibility=False)
    size = len(plain.data[0].embedding)
    assert not client.collection_exists("points")
    assert client.create_collection("points", models.VectorParams(size=size, distance=models.Distance.COSINE))
    assert client.collection_exists("points") and client.get_collection("points").points_count == 0
    assert "points" in [collection.name for collection in client.get_collections().collections]
    named = str(uuid.uuid4())
    ids = [1, 2, named]
    points = [
        models.PointStruct(id=id, vector=item.embedding, payload={"text": text, "place": place})
        for place, (id, item, text) in enumerate(zip(ids, plain.data, TEXTS))
    ]
    assert client.upsert("points", points, wait=True).status == models.UpdateStatus.COMPLETED
    client.create_payload_index("points", "place", models.PayloadSchemaType.INTEGER)
    found = client.query_points("points", query=plain.data[0].embedding, limit=2, with_vectors=True).points
    assert [point.id for point in found][0] == 1 and found[0].payload == {"text": TEXTS[0], "place": 0}, found
    assert near(found[0].vector, [x / sum(y * y for y in found[0].vector) ** 0.5 for x in found[0].vector])
    last = models.Filter(must=[models.FieldCondition(key="place", range=models.Range(gte=2))])
    assert [point.id for point in client.query_points("points", query=1, query_filter=last).points] == [named]
    only = models.Filter(must=[models.HasIdCondition(has_id=[1, named])], must_not=[models.FieldCondition(key="place", match=models.MatchValue(value=0))])
    assert client.count("points", count_filter=only).count == 1
    like = models.RecommendQuery(recommend=models.RecommendInput(positive=[1], negative=[named]))
    assert {point.id for point in client.query_points("points", query=like).points} == {2}
    page, after = client.scroll("points", limit=2)
    assert [record.id for record in page] == [1, 2] and after == named
    page, after = client.scroll("points", limit=2, offset=after, with_vectors=True)
    assert [record.id for record in page] == [named] and after is None and len(page[0].vector) == size
    assert [record.id for record in client.retrieve("points", [named, 7])] == [named]
    for wrong in (
        lambda: client.query_points("points", query=[0.5]),
        lambda: client.query_points("points", query=models.FusionQuery(fusion=models.Fusion.RRF)),
        lambda: client.query_points("points", query=1, query_filter=models.Filter(must=[models.IsNullCondition(is_null=models.PayloadField(key="a"))])),
        lambda: client.get_collection("none"),
    ):
        try:
            raise AssertionError(f"it was accepted: {wrong()}")
        except UnexpectedResponse as error:
            assert error.structured()["status"]["error"], error
    client.delete("points", points_selector=[1])
    client.delete("points", points_selector=models.FilterSelector(filter=last))
    assert [record.id for record in client.scroll("points")[0]] == [2]
    # An index with a model answers texts, and gives its texts as payloads.
    notes = client.query_points(index, query=models.NearestQuery(nearest=client.scroll(index, with_vectors=True)[0][3].vector))
    assert notes.points[0].payload["text"], notes
    assert client.delete_collection("points") and not client.collection_exists("points")


qdrant()
store = QdrantVectorStore.from_documents(
    [Document(page_content=text, metadata={"place": place}) for place, text in enumerate(TEXTS)],
    langchain, url=url, api_key=admin, prefer_grpc=False, collection_name="chain", check_compatibility=False,
)
[(best, score)] = store.similarity_search_with_score(TEXTS[1], k=1)
assert best.page_content == TEXTS[1] and best.metadata["place"] == 1 and score > 0.99, best
place = models.FieldCondition(key="metadata.place", match=models.MatchValue(value=2))
assert [found.page_content for found in store.similarity_search(TEXTS[1], filter=models.Filter(must=[place]))] == [TEXTS[2]]
assert store.delete([best.metadata["_id"]]) and len(store.similarity_search(TEXTS[1])) == 2


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
        listed = (await session.list_resources()).model_dump(by_alias=True)["resources"]
        read = (await session.read_resource(listed[0]["uri"])).model_dump(by_alias=True)
        assert listed and read["contents"][0]["text"], read


async def keeper(session):
    await session.initialize()
    assert [tool.name for tool in (await session.list_tools()).tools] == ["search", "fetch", "status", "store", "delete"]
    kept = (await session.call_tool("store", {"text": "a heron stands in the reeds", "id": "heron"})).model_dump(by_alias=True)
    assert kept["structuredContent"]["id"].endswith("heron"), kept
    found = (await session.call_tool("search", {"query": "heron reeds", "limit": 1, "mode": "keyword"})).model_dump(by_alias=True)
    assert found["structuredContent"]["results"][0]["id"].endswith("heron"), found
    gone = (await session.call_tool("delete", {"id": kept["structuredContent"]["id"]})).model_dump(by_alias=True)
    assert gone["structuredContent"]["deleted"], gone


async def over_stdio(program, folder):
    started = StdioServerParameters(command=program, args=["mcp", folder, "--writable"])
    async with stdio_client(started) as streams, ClientSession(*streams) as session:
        await keeper(session)


store.client.delete_collection("chain")
asyncio.run(agent())
if "AKIN" in os.environ:
    asyncio.run(over_stdio(os.environ["AKIN"], os.environ["AKIN_INDEX"]))
print("ok")
