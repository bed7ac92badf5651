"""Asks a server about its long work with Google's own library and messages, which know nothing of the server.

Arguments: address, name of an operation of CreateTeacher that ends by itself.
"""

import math
import struct
import sys

import grpc
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, duration_pb2, empty_pb2  # noqa: F401
from google.rpc import error_details_pb2, status_pb2

address, operation_name = sys.argv[1:]
channel = grpc.insecure_channel(address)


def method(name, request, response):
    return channel.unary_unary(
        f"/google.longrunning.Operations/{name}",
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )


get = method("GetOperation", operations_pb2.GetOperationRequest, operations_pb2.Operation)
wait = method("WaitOperation", operations_pb2.WaitOperationRequest, operations_pb2.Operation)
list_all = method("ListOperations", operations_pb2.ListOperationsRequest, operations_pb2.ListOperationsResponse)
cancel = method("CancelOperation", operations_pb2.CancelOperationRequest, empty_pb2.Empty)
delete = method("DeleteOperation", operations_pb2.DeleteOperationRequest, empty_pb2.Empty)


def failure(call, request):
    """Code and details of a call that must fail."""
    try:
        call(request)
    except grpc.RpcError as error:
        trailers = dict(error.trailing_metadata())
        status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
        assert status.code == error.code().value[0], status
        return error.code(), {detail.TypeName(): detail for detail in status.details}
    raise AssertionError("the call should have failed")


def unpacked(details, message):
    assert details[message.DESCRIPTOR.full_name].Unpack(message)
    return message


# It ends well, its metadata and response say what they are.
operation = get(operations_pb2.GetOperationRequest(name=operation_name))
assert operation.name == operation_name
while not operation.done:
    timeout = duration_pb2.Duration(seconds=5)
    operation = wait(operations_pb2.WaitOperationRequest(name=operation_name, timeout=timeout))
assert operation.WhichOneof("result") == "response", operation
assert operation.response.TypeName() == "deeper.catalog.v1.Teacher", operation.response
assert operation.metadata.TypeName() == "deeper.catalog.v1.TrainingMetadata", operation.metadata

# Pages of one lead through all of them.
names, token = [], ""
while True:
    page = list_all(operations_pb2.ListOperationsRequest(page_size=1, page_token=token))
    names += [each.name for each in page.operations]
    token = page.next_page_token
    if not token:
        break
assert operation_name in names and len(names) == len(set(names)) == 4, names

# A finished operation stays finished when it is cancelled, and can be forgotten.
cancel(operations_pb2.CancelOperationRequest(name=operation_name))
assert get(operations_pb2.GetOperationRequest(name=operation_name)).WhichOneof("result") == "response"
delete(operations_pb2.DeleteOperationRequest(name=operation_name))
code, details = failure(get, operations_pb2.GetOperationRequest(name=operation_name))
assert code == grpc.StatusCode.NOT_FOUND, code
info = unpacked(details, error_details_pb2.ErrorInfo())
assert (info.reason, info.domain) == ("OPERATION_NOT_FOUND", "deeper.dev"), info
assert unpacked(details, error_details_pb2.ResourceInfo()).resource_name == operation_name

# Every wrong field is told.
bad = operations_pb2.ListOperationsRequest(name="elsewhere", filter="done=true", page_size=-1)
code, details = failure(list_all, bad)
assert code == grpc.StatusCode.INVALID_ARGUMENT, code
fields = [each.field for each in unpacked(details, error_details_pb2.BadRequest()).field_violations]
assert fields == ["name", "filter", "page_size"], fields

# So is a request that is wrong all over: the answer stays within the 8 KiB of metadata that this library reads.
# DecodeLatentsRequest.latents is field 3; LatentPoint.coordinates is field 1, packed floats.
points = (b"\x1a\x06\x0a\x04" + struct.pack("<f", math.nan)) * 256
try:
    channel.unary_unary("/deeper.explanation.v1.ExplanationService/DecodeLatents")(points)
    raise AssertionError("the call should have failed")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    details = {detail.TypeName(): detail for detail in status.details}
    told = unpacked(details, error_details_pb2.BadRequest()).field_violations
    assert [each.field for each in told[:3]] == ["teacher", "autoencoder", "latents[0]"], told[:3]
    assert told[-1].description == f"and {258 - (len(told) - 1)} more", told[-1]

# What is no message at all is the caller's mistake, and a method that nobody has is named.
for name, body, expected in [
    ("GetDataset", b"\x0a\x7f", (grpc.StatusCode.INVALID_ARGUMENT, "proto file")),
    ("MakeTea", b"", (grpc.StatusCode.UNIMPLEMENTED, "CatalogService/MakeTea")),
]:
    try:
        channel.unary_unary(f"/deeper.catalog.v1.CatalogService/{name}")(body)
        raise AssertionError("the call should have failed")
    except grpc.RpcError as error:
        assert error.code() == expected[0] and expected[1] in error.details(), error

print("all facts hold")
