"""A client that knows nothing but proto/: what a user of another language can do with a cluster.

Usage: foreign_client.py PROTO_FOLDER WORK_FOLDER HOST:PORT

Generates Python from the .proto files with protoc, talks to one node, and fails with a traceback where an answer is
not what proto/kv.proto promises. Prints the name of each check that has passed.
"""

import os
import queue
import shutil
import subprocess
import sys

import google
import grpc


def generate(protos, work):
    """Messages only: with them a call needs no more than the method's name."""
    files = ["kv.proto", "admin.proto", "google/rpc/status.proto"]
    arguments = ["-I" + protos, "--python_out=" + work] + files
    compilers = [[shutil.which("protoc")], [sys.executable, "-m", "grpc_tools.protoc"]]
    for compiler in compilers:
        if compiler[0] and subprocess.run(compiler + arguments, stderr=subprocess.DEVNULL).returncode == 0:
            break
    else:
        raise SystemExit("neither protoc nor grpc_tools can compile proto/")
    sys.path.insert(0, work)
    google.__path__.append(os.path.join(work, "google"))


generate(sys.argv[1], sys.argv[2])
import admin_pb2 as admin  # noqa: E402
import kv_pb2 as kv  # noqa: E402
from google.rpc import status_pb2  # noqa: E402

channel = grpc.insecure_channel(sys.argv[3])
grpc.channel_ready_future(channel).result(timeout=20)


def method(kind, name, request, response, service="Kv"):
    path = "/quorate.v1.%s/%s" % (service, name)
    return getattr(channel, kind)(
        path, request_serializer=request.SerializeToString, response_deserializer=response.FromString
    )


get = method("unary_unary", "Get", kv.GetRequest, kv.GetResponse)
put = method("unary_unary", "Put", kv.PutRequest, kv.PutResponse)
delete = method("unary_unary", "Delete", kv.DeleteRequest, kv.DeleteResponse)
batch = method("unary_unary", "Batch", kv.BatchRequest, kv.BatchResponse)
atomic_batch = method("unary_unary", "AtomicBatch", kv.AtomicBatchRequest, kv.AtomicBatchResponse)
scan = method("unary_stream", "Scan", kv.ScanRequest, kv.ScanPage)
stream = method("stream_stream", "Stream", kv.StreamRequest, kv.StreamResponse)
shard_map = method("unary_unary", "ShardMap", admin.ShardMapRequest, admin.ShardMapResponse, "Admin")


def check_put_get_delete():
    assert get(kv.GetRequest(key=b"py")).WhichOneof("result") == "absent"
    version = put(kv.PutRequest(key=b"py", value=b"\x00\xff")).written.version
    assert version > 0
    found = get(kv.GetRequest(key=b"py")).found
    assert (found.value, found.version) == (b"\x00\xff", version)
    assert get(kv.GetRequest(key=b"py", consistency=kv.CONSISTENCY_STALE), timeout=10).WhichOneof("result")
    assert delete(kv.DeleteRequest(key=b"py")).written.version > version
    assert delete(kv.DeleteRequest(key=b"py")).WhichOneof("result") == "nothing_deleted"


def check_atomic_batch():
    def write(key, value, **more):
        return kv.AtomicOperation(key=key, put=value, **more)

    absent = kv.Condition(absent=kv.Absent())
    both = kv.AtomicBatchRequest(
        operations=[write(b"py/1", b"1", condition=absent), write(b"py/2", b"2")],
        request_id=kv.RequestId(session=b"a" * 16, seq=1),
    )
    version = atomic_batch(both).written.version
    assert [get(kv.GetRequest(key=key)).found.version for key in (b"py/1", b"py/2")] == [version, version]
    assert atomic_batch(both).written.version == version
    gone = kv.AtomicOperation(key=b"py/2", delete=kv.AtomicDelete())
    check = kv.AtomicOperation(key=b"py/1", check=kv.AtomicCheck(), condition=absent)
    failed = atomic_batch(kv.AtomicBatchRequest(operations=[gone, check])).conditions_failed.conditions
    assert [(each.index, each.present.version, each.present.value) for each in failed] == [(1, version, b"1")]
    assert get(kv.GetRequest(key=b"py/2")).found.value == b"2"
    none = [kv.AtomicOperation(key=key, delete=kv.AtomicDelete()) for key in (b"py/1", b"py/2")]
    assert atomic_batch(kv.AtomicBatchRequest(operations=none)).written.version > version


def check_conditions():
    absent = kv.Condition(absent=kv.Absent())
    first = put(kv.PutRequest(key=b"if", value=b"1", condition=absent)).written.version
    failed = put(kv.PutRequest(key=b"if", value=b"2", condition=absent)).condition_failed
    assert (failed.present.version, failed.present.value) == (first, b"1")
    by_version = kv.Condition(version_equals=first)
    assert put(kv.PutRequest(key=b"if", value=b"2", condition=by_version)).written.version > first
    by_value = kv.Condition(value_equals=b"1")
    assert delete(kv.DeleteRequest(key=b"if", condition=by_value)).condition_failed.present.value == b"2"
    assert delete(kv.DeleteRequest(key=b"if")).WhichOneof("result") == "written"


def check_request_ids():
    request = kv.PutRequest(key=b"once", value=b"1", request_id=kv.RequestId(session=bytes(range(16)), seq=1))
    version = put(request).written.version
    put(kv.PutRequest(key=b"once", value=b"2"))
    assert put(request).written.version == version
    assert get(kv.GetRequest(key=b"once")).found.value == b"2"
    delete(kv.DeleteRequest(key=b"once"))


def check_scan():
    keys = [(letter + "/%03d" % i).encode() for letter in "0GWm" for i in range(30)]
    operations = [kv.Operation(put=kv.PutRequest(key=key, value=key * 10)) for key in keys]
    assert all(result.WhichOneof("result") == "written" for result in batch(kv.BatchRequest(operations=operations)).results)
    pages = list(scan(kv.ScanRequest(page_bytes=400)))
    assert [record.key for page in pages for record in page.records] == keys
    assert len({page.read_timestamp for page in pages}) == 1 and len(pages) > 4
    reverse = scan(kv.ScanRequest(reverse=True, limit=7, keys_only=True))
    assert [(record.key, record.value) for page in reverse for record in page.records] == [(key, b"") for key in keys[:-8:-1]]
    prefixed = scan(kv.ScanRequest(prefix=b"W/00", start=b"W/003"))
    assert [record.key for page in prefixed for record in page.records] == keys[63:70]
    batch(kv.BatchRequest(operations=[kv.Operation(delete=kv.DeleteRequest(key=key)) for key in keys]))


def check_stream():
    requests = queue.Queue()
    answers = {}
    responses = stream(iter(requests.get, None))

    def send(*operations):
        requests.put(kv.StreamRequest(operations=operations))

    puts = [kv.Operation(put=kv.PutRequest(key=b"%c/s" % (48 + i), value=b"%d" % i)) for i in range(50)]
    send(*[kv.StreamOperation(id=1000 - i, operation=operation) for i, operation in enumerate(puts)])
    send(kv.StreamOperation(id=7, operation=kv.Operation(get=kv.GetRequest()), timeout_ms=2000))
    for response in responses:
        for result in response.results:
            assert result.id not in answers
            answers[result.id] = result.result
        if len(answers) == 51:
            break
    assert answers[7].error.detail.code == kv.ERROR_CODE_INVALID_ARGUMENT
    assert all(answers[1000 - i].WhichOneof("result") == "written" for i in range(50))
    requests.put(None)
    assert list(responses) == []
    batch(kv.BatchRequest(operations=[kv.Operation(delete=kv.DeleteRequest(key=p.put.key)) for p in puts]))


def check_error_details():
    try:
        put(kv.PutRequest(key=b"k" * 4097, value=b""))
        raise AssertionError("a key of 4097 bytes was taken")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "keyBytesMax" in error.details()
        trailers = {name: value for name, value in error.trailing_metadata()}
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    detail = kv.ErrorDetail()
    assert len(status.details) == 1 and status.details[0].Unpack(detail)
    assert (detail.code, detail.outcome) == (kv.ERROR_CODE_INVALID_ARGUMENT, kv.OUTCOME_NOT_APPLIED)
    assert not detail.retryable and not detail.HasField("shard")


def check_shard_map():
    shards = shard_map(admin.ShardMapRequest()).shards
    assert shards[0].start == b"" and shards[-1].end == b""
    assert all(before.end == after.start for before, after in zip(shards, shards[1:]))


for name, check in list(globals().items()):
    if name.startswith("check_"):
        check()
        print(name[len("check_") :], flush=True)
