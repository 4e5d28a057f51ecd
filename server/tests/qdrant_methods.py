"""Every method of qdrant-client against a server: which are taken, and which are refused by name.

qdrant_methods.py URL [ADMIN_KEY]

The server is writable and creates indexes. Prints a line a method, and fails where one does otherwise than docs/QDRANT.md says.
"""

import sys
import warnings

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

warnings.simplefilter("ignore")
client = QdrantClient(url=sys.argv[1], api_key=(sys.argv[2:] or [None])[0], prefer_grpc=False, check_compatibility=False)
COSINE = models.VectorParams(size=2, distance=models.Distance.COSINE)
failed = []


def point(id, vector, **payload):
    return models.PointStruct(id=id, vector=vector, payload=payload)


def taken(name, call, holds=lambda answer: True):
    try:
        answer = call()
        good = holds(answer)
        print(f"{'taken  ' if good else 'WRONG  '} {name}{'' if good else f': {answer}'}")
    except Exception as error:  # whatever a client raises is to be told
        good = False
        print(f"FAILED  {name}: {type(error).__name__}: {str(error)[:300]}")
    if not good:
        failed.append(name)


def refused(name, call):
    try:
        answer = call()
        print(f"WRONG   {name} was taken: {answer}")
        failed.append(name)
    except UnexpectedResponse as error:
        sentence = error.content.decode(errors="replace")
        good = "not served here" in sentence
        print(f"{'refused' if good else 'WRONG  '} {name}: {sentence[:200]}")
        if not good:
            failed.append(name)


done = lambda answer: answer.status == models.UpdateStatus.COMPLETED
red = models.Filter(must=[models.FieldCondition(key="color", match=models.MatchValue(value="red"))])
ids = lambda points: [point.id for point in points]

if client.collection_exists("tried"):
    client.delete_collection("tried")
taken("create_collection", lambda: client.create_collection("tried", COSINE))
taken("collection_exists", lambda: client.collection_exists("tried"))
taken("get_collections", lambda: client.get_collections(), lambda a: "tried" in [c.name for c in a.collections])
taken("get_collection", lambda: client.get_collection("tried"), lambda a: a.config.params.vectors.size == 2 and a.points_count == 0)
taken("update_collection", lambda: client.update_collection("tried", optimizers_config=models.OptimizersConfigDiff(indexing_threshold=1)))
taken("upsert", lambda: client.upsert("tried", [point(1, [1, 0], color="red", n=3), point(2, [0, 1], color="blue", n=1)]), done)
taken("upload_points", lambda: client.upload_points("tried", [point(3, [0.6, 0.8], color="red", n=2)], wait=True))
taken("upload_collection", lambda: client.upload_collection("tried", [[-1, 0]], payload=[{"n": 4}], ids=[4], wait=True))
taken("count", lambda: client.count("tried"), lambda a: a.count == 4)
taken("create_payload_index", lambda: client.create_payload_index("tried", "n", models.PayloadSchemaType.INTEGER), done)
taken("delete_payload_index", lambda: client.delete_payload_index("tried", "n"), done)
taken("query_points", lambda: client.query_points("tried", query=[1.0, 0.0], limit=2).points, lambda a: ids(a) == [1, 3])
taken("query_points with a filter", lambda: client.query_points("tried", query=[1.0, 0.0], query_filter=red).points, lambda a: ids(a) == [1, 3])
taken("query_batch_points", lambda: client.query_batch_points("tried", [
    models.QueryRequest(query=[0.0, 1.0], limit=1), models.QueryRequest(query=1, limit=1, with_payload=True)]),
    lambda a: [ids(one.points) for one in a] == [[2], [3]])
taken("retrieve", lambda: client.retrieve("tried", [4, 1], with_vectors=True), lambda a: ids(a) == [4, 1])
taken("scroll", lambda: client.scroll("tried", limit=3), lambda a: ids(a[0]) == [1, 2, 3] and a[1] == 4)
taken("scroll with order_by", lambda: client.scroll("tried", order_by="n"), lambda a: ids(a[0]) == [2, 3, 1, 4])
taken("scroll with order_by, descending", lambda: client.scroll("tried", order_by=models.OrderBy(key="n", direction=models.Direction.DESC), limit=2), lambda a: ids(a[0]) == [4, 1])
taken("set_payload", lambda: client.set_payload("tried", {"x": 1}, points=[1]), done)
taken("set_payload with a filter and a key", lambda: client.set_payload("tried", {"y": 1}, points=red, key="deep"), done)
taken("payload after it", lambda: client.retrieve("tried", [1])[0].payload, lambda a: a == {"color": "red", "n": 3, "x": 1, "deep": {"y": 1}})
taken("delete_payload", lambda: client.delete_payload("tried", ["x", "deep"], points=[1]), done)
taken("overwrite_payload", lambda: client.overwrite_payload("tried", {"z": 1}, points=[2]), done)
taken("clear_payload", lambda: client.clear_payload("tried", [4]), done)
taken("payloads after it", lambda: [p.payload for p in client.retrieve("tried", [1, 2, 4])], lambda a: a == [{"color": "red", "n": 3}, {"z": 1}, {}])
taken("update_vectors", lambda: client.update_vectors("tried", [models.PointVectors(id=4, vector=[0, -1])]), done)
taken("batch_update_points", lambda: client.batch_update_points("tried", [
    models.UpsertOperation(upsert=models.PointsList(points=[point(5, [1, 1], n=9)])),
    models.SetPayloadOperation(set_payload=models.SetPayload(payload={"m": 1}, points=[5])),
    models.DeletePayloadOperation(delete_payload=models.DeletePayload(keys=["n"], points=[5])),
    models.DeleteOperation(delete=models.PointIdsList(points=[3])),
]), lambda a: all(map(done, a)))
taken("points after it", lambda: client.retrieve("tried", [3, 5])[0].payload, lambda a: a == {"m": 1})
taken("delete", lambda: client.delete("tried", [5]), done)
taken("delete with a filter", lambda: client.delete("tried", models.FilterSelector(filter=red)), done)
taken("recreate_collection", lambda: client.recreate_collection("tried", COSINE))

refused("query_points_groups", lambda: client.query_points_groups("tried", group_by="n", query=[1.0, 0.0]))
refused("facet", lambda: client.facet("tried", "n"))
refused("search_matrix_pairs", lambda: client.search_matrix_pairs("tried"))
refused("search_matrix_offsets", lambda: client.search_matrix_offsets("tried"))
refused("delete_vectors", lambda: client.delete_vectors("tried", [""], [1]))
refused("update_collection_aliases", lambda: client.update_collection_aliases([]))
refused("get_aliases", lambda: client.get_aliases())
refused("get_collection_aliases", lambda: client.get_collection_aliases("tried"))
refused("create_snapshot", lambda: client.create_snapshot("tried"))
refused("list_snapshots", lambda: client.list_snapshots("tried"))
refused("list_full_snapshots", lambda: client.list_full_snapshots())
refused("create_full_snapshot", lambda: client.create_full_snapshot())
refused("create_shard_key", lambda: client.create_shard_key("tried", "a"))
refused("collection_cluster_info", lambda: client.collection_cluster_info("tried"))
refused("cluster_status", lambda: client.cluster_status())

taken("delete_collection", lambda: client.delete_collection("tried"))
print(f"{len(failed)} failed: {failed}" if failed else "ok")
sys.exit(bool(failed))
