#include "libs/base/proto_field.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "libs/base/varint.h"

namespace narthex::base {
namespace {

bool ReadVarint(absl::string_view* rest, std::uint64_t* value) {
  // Tags and lengths are mostly one byte.
  if (!rest->empty() && (static_cast<unsigned char>((*rest)[0]) & 0x80) == 0) {
    *value = static_cast<unsigned char>((*rest)[0]);
    rest->remove_prefix(1);
    return true;
  }
  std::uint64_t result = 0;
  for (std::size_t i = 0; i < std::min<std::size_t>(rest->size(), 10); ++i) {
    const auto byte = static_cast<unsigned char>((*rest)[i]);
    result |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) == 0) {
      *value = result;
      rest->remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

template <typename Integer>
bool ReadFixed(absl::string_view* rest, std::uint64_t* value) {
  Integer fixed = 0;
  if (rest->size() < sizeof(fixed)) return false;
  std::memcpy(&fixed, rest->data(), sizeof(fixed));
  static_assert(std::endian::native == std::endian::little);
  *value = fixed;
  rest->remove_prefix(sizeof(fixed));
  return true;
}

}  // namespace

bool ReadField(absl::string_view* rest, ProtoField* field) {
  std::uint64_t tag = 0;
  if (!ReadVarint(rest, &tag)) return false;
  field->number = static_cast<std::uint32_t>(tag >> 3);
  field->type = static_cast<std::uint32_t>(tag & 7);
  switch (field->type) {
    case kVarint:
      return ReadVarint(rest, &field->number_value);
    case kFixed64:
      return ReadFixed<std::uint64_t>(rest, &field->number_value);
    case kFixed32:
      return ReadFixed<std::uint32_t>(rest, &field->number_value);
    case kBytes: {
      std::uint64_t length = 0;
      if (!ReadVarint(rest, &length) || length > rest->size()) return false;
      field->bytes = rest->substr(0, length);
      rest->remove_prefix(length);
      return true;
    }
    default:
      return false;
  }
}

void AppendVarintField(std::uint32_t number, std::uint64_t value,
                       std::string* out) {
  PutUvarint(std::uint64_t{number} << 3 | kVarint, out);
  PutUvarint(value, out);
}

void AppendDoubleField(std::uint32_t number, double value, std::string* out) {
  PutUvarint(std::uint64_t{number} << 3 | kFixed64, out);
  char bits[sizeof(value)];
  std::memcpy(bits, &value, sizeof(value));
  out->append(bits, sizeof(bits));
}

void AppendBytesField(std::uint32_t number, absl::string_view bytes,
                      std::string* out) {
  PutUvarint(std::uint64_t{number} << 3 | kBytes, out);
  PutUvarint(bytes.size(), out);
  out->append(bytes.data(), bytes.size());
}

bool ReadVarints(const ProtoField& field, std::vector<std::uint64_t>* out) {
  if (field.type == kVarint) {
    out->push_back(field.number_value);
    return true;
  }
  if (field.type != kBytes) return false;
  absl::string_view rest = field.bytes;
  while (!rest.empty()) {
    if (!ReadVarint(&rest, &out->emplace_back())) return false;
  }
  return true;
}

bool ReadDoubles(const ProtoField& field, std::vector<double>* out) {
  if (field.type == kFixed64) {
    out->push_back(std::bit_cast<double>(field.number_value));
    return true;
  }
  if (field.type != kBytes) return false;
  absl::string_view rest = field.bytes;
  while (!rest.empty()) {
    std::uint64_t bits = 0;
    if (!ReadFixed<std::uint64_t>(&rest, &bits)) return false;
    out->push_back(std::bit_cast<double>(bits));
  }
  return true;
}

}  // namespace narthex::base
