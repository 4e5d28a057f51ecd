"""The server's own client for `milvus.rs`, which gives the orders, one a line, and reads an answer for each.

    python pymilvus_peer.py URI COLLECTION VECTORS.npy

`load FROM TO` inserts rows into a collection of its own, and `search ROW` looks for the nearest to one in COLLECTION. Answers are in seconds.
"""

import sys
import time

import numpy as np
from pymilvus import DataType, MilvusClient

OUTPUT = ["id", "text", "metadata"]


def create(client, name, dimension):
    """A collection with the fields that a caller would give it."""
    schema = client.create_schema(enable_dynamic_field=False)
    schema.add_field("id", DataType.VARCHAR, max_length=65535, is_primary=True)
    schema.add_field("text", DataType.VARCHAR, max_length=65535)
    schema.add_field("metadata", DataType.JSON)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=dimension)
    index = client.prepare_index_params()
    index.add_index("embedding", index_type="HNSW", metric_type="IP", params={"M": 16, "efConstruction": 200})
    client.create_collection(name, schema=schema, index_params=index)


def document(row, vector):
    metadata = {"tenth": row % 10, "hundredth": row % 100}
    return {"id": str(row), "text": f"the text of row {row}", "metadata": metadata, "embedding": vector}


def insert(client, name, vectors, first, last):
    # As many as fit a message of 8 MiB, which Akin sends too.
    size = (8 << 20) // (4 * vectors.shape[1] + 300)
    for begin in range(first, last, size):
        rows = range(begin, min(begin + size, last))
        client.insert(name, [document(row, vectors[row]) for row in rows])


def search(client, name, vector):
    found = client.search(
        name, data=[vector], anns_field="embedding", limit=10, output_fields=OUTPUT, consistency_level="Bounded",
        search_params={"metric_type": "IP", "params": {"ef": 100}})
    assert len(found[0]) == 10


def main():
    uri, collection, path = sys.argv[1:]
    client, vectors = MilvusClient(uri=uri), np.load(path, mmap_mode="r")
    own = collection + "_own"
    create(client, own, vectors.shape[1])
    for line in sys.stdin:
        order, *numbers = line.split()
        numbers = [int(number) for number in numbers]
        began = time.perf_counter()
        if order == "load":
            insert(client, own, vectors, *numbers)
        else:
            search(client, collection, vectors[numbers[0]].tolist())
        print(time.perf_counter() - began, flush=True)
    client.drop_collection(own)


if __name__ == "__main__":
    main()
