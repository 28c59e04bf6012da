#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

/// Reading and writing of protobuf messages field by field, for the public
/// messages that are too hot or too large to be built as objects.
namespace narthex::base {

/// The low bits of a field's tag.
enum WireType : std::uint32_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kFixed32 = 5,
};

/// One field of a message.
struct ProtoField {
  std::uint32_t number = 0;
  std::uint32_t type = 0;
  std::uint64_t number_value = 0;  // Of kVarint, kFixed64, kFixed32.
  absl::string_view bytes;         // Of kBytes; a view into the message.
};

/// Takes the field at the front of `*rest`. False when it is malformed or cut.
bool ReadField(absl::string_view* rest, ProtoField* field);

/// Append a field to a message.
void AppendVarintField(std::uint32_t number, std::uint64_t value,
                       std::string* out);
void AppendDoubleField(std::uint32_t number, double value, std::string* out);
/// Of a signed varint (sint32, sint64).
inline std::int64_t ZigZag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^
         -static_cast<std::int64_t>(value & 1);
}
inline std::uint64_t ToZigZag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^
         static_cast<std::uint64_t>(value >> 63);
}

/// Appends the numbers of a repeated field, packed or single, to `*out` (of
/// std::uint64_t); signed ones are still zigzag. False when malformed.
bool ReadVarints(const ProtoField& field, std::vector<std::uint64_t>* out);
/// Likewise of doubles.
bool ReadDoubles(const ProtoField& field, std::vector<double>* out);

void AppendBytesField(std::uint32_t number, absl::string_view bytes,
                      std::string* out);

}  // namespace narthex::base
