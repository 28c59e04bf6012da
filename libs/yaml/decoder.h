#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/yaml/node.h"

namespace narthex::yaml {

/// Reads a node into a C++ value. Own types join in by a function of this
/// name and shape in their own namespace. Types are strict, as in Prometheus:
/// a quoted "1" is no number, but any scalar is a string; bools may be
/// written true/yes/on. A null leaves `*out` as it is, that is, at its
/// default. Errors are kInvalidArgument with file, line and path.
absl::Status Decode(const Node& node, std::string* out);
absl::Status Decode(const Node& node, bool* out);
absl::Status Decode(const Node& node, int* out);
absl::Status Decode(const Node& node, std::int64_t* out);
absl::Status Decode(const Node& node, std::uint32_t* out);
absl::Status Decode(const Node& node, std::uint64_t* out);
absl::Status Decode(const Node& node, double* out);
/// A Prometheus duration ("1m30s") in milliseconds.
absl::Status DecodeDuration(const Node& node, std::int64_t* milliseconds);
/// A size ("16MB") in bytes.
absl::Status DecodeSize(const Node& node, std::int64_t* bytes);

/// Replaces the vector by the sequence; null items are errors.
template <typename T>
absl::Status Decode(const Node& node, std::vector<T>* out);
/// Replaces the map; keys are unique by parsing.
template <typename T>
absl::Status Decode(const Node& node, std::map<std::string, T>* out);
/// Set when the field is there and not null.
template <typename T>
absl::Status Decode(const Node& node, std::optional<T>* out);

/// Reads the fields of one map by name and then reports what nobody asked
/// for. The first error is kept, later calls do nothing.
///
///   absl::Status Decode(const yaml::Node& node, Global* out) {
///     yaml::Decoder d(node);
///     d.Duration("scrape_interval", &out->scrape_interval_ms);
///     d.Field("external_labels", &out->external_labels);
///     return d.Done();
///   }
class Decoder {
 public:
  /// `node` is a map, or null, which counts as an empty map.
  explicit Decoder(const Node& node);

  /// Decodes the field if it is there. True when it is there and not null.
  template <typename T>
  bool Field(absl::string_view name, T* out) {
    const Node* value = Take(name);
    if (value == nullptr || value->is_null()) return false;
    Fail(Decode(*value, out));
    return ok();
  }
  /// As Field(), but an error when the field is missing or null.
  template <typename T>
  void Required(absl::string_view name, T* out) {
    if (!Field(name, out) && ok()) FailMissing(name);
  }
  bool Duration(absl::string_view name, std::int64_t* milliseconds);
  bool Size(absl::string_view name, std::int64_t* bytes);

  /// The value of a field, which counts as asked for from now on; null when
  /// it is not there or after an error.
  const Node* Take(absl::string_view name);
  /// Whether the field is in the map at all, even as null.
  bool Has(absl::string_view name) const { return node_.Find(name) != nullptr; }
  /// Records `status` unless it is OK or there was an error before.
  void Fail(const absl::Status& status) {
    if (status_.ok()) status_ = status;
  }
  /// Records an error about this map as a whole / about one of its fields.
  void Fail(absl::string_view reason) { Fail(node_.Error(reason)); }
  void FailField(absl::string_view name, absl::string_view reason);

  bool ok() const { return status_.ok(); }
  const Node& node() const { return node_; }
  /// The first error; "field x not found" for fields nobody took.
  absl::Status Done();

 private:
  void FailMissing(absl::string_view name);

  const Node& node_;
  std::vector<bool> taken_;
  absl::Status status_;
};

template <typename T>
absl::Status Decode(const Node& node, std::vector<T>* out) {
  if (node.is_null()) return absl::OkStatus();
  if (!node.is_sequence()) return node.Error("expected a list");
  out->clear();
  out->reserve(node.items().size());
  for (const auto& item : node.items()) {
    if (item->is_null()) return item->Error("empty or null entry in a list");
    T value{};
    if (absl::Status status = Decode(*item, &value); !status.ok()) {
      return status;
    }
    out->push_back(std::move(value));
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status Decode(const Node& node, std::map<std::string, T>* out) {
  if (node.is_null()) return absl::OkStatus();
  if (!node.is_map()) return node.Error("expected a map");
  out->clear();
  for (const auto& entry : node.entries()) {
    T value{};
    if (absl::Status status = Decode(*entry.value, &value); !status.ok()) {
      return status;
    }
    out->emplace(entry.key, std::move(value));
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status Decode(const Node& node, std::optional<T>* out) {
  if (node.is_null()) return absl::OkStatus();
  T value{};
  if (absl::Status status = Decode(node, &value); !status.ok()) return status;
  *out = std::move(value);
  return absl::OkStatus();
}

}  // namespace narthex::yaml
