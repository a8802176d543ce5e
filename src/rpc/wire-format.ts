/**
 * Protobuf's wire format (https://protobuf.dev/programming-guides/encoding): fields of a tag, which is the field
 * number and how the value is laid out, and the value.
 */
export enum WireType {
  varint = 0,
  fixed64 = 1,
  lengthDelimited = 2,
  fixed32 = 5,
}
