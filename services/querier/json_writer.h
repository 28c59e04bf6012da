#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/model/labels.h"

namespace narthex::querier {

/// Appends compact JSON to a string, commas included. The caller balances
/// Begin and End.
class JsonWriter {
 public:
  explicit JsonWriter(std::string* out) : out_(out) {}

  JsonWriter& BeginObject();
  JsonWriter& EndObject();
  JsonWriter& BeginArray();
  JsonWriter& EndArray();
  /// The name of the next value; names are plain ASCII.
  JsonWriter& Key(absl::string_view name);
  /// The same for names that come from outside.
  JsonWriter& QuotedKey(absl::string_view name);

  JsonWriter& String(absl::string_view text);
  JsonWriter& Int(std::int64_t value);
  /// As Go's encoding/json writes a float64; not for NaN and infinities.
  JsonWriter& Double(double value);
  JsonWriter& Bool(bool value);
  JsonWriter& Null();
  /// An object of names and values.
  JsonWriter& Labels(const model::Labels& labels);
  JsonWriter& Strings(const std::vector<std::string>& texts);
  /// RFC 3339; 0 is Go's zero time, "0001-01-01T00:00:00Z".
  JsonWriter& Time(std::int64_t unix_ms);

  /// Where raw JSON may be appended: after the comma that it needs.
  std::string* Raw();

 private:
  void Separate();

  std::string* out_;
  bool needs_comma_ = false;
};

/// Appends a quoted JSON string; <, > and & are escaped, so that it may stand
/// in HTML, and bytes that are no UTF-8 are replaced.
void AppendJsonString(absl::string_view text, std::string* out);

/// Appends "name":"value".
void AppendJsonPair(const model::Label& label, std::string* out);

/// Appends {"name":"value",...}.
void AppendJsonLabels(const model::Labels& labels, std::string* out);

/// Appends Unix ms as seconds with up to three decimals: 1435781451.781.
void AppendJsonTime(std::int64_t unix_ms, std::string* out);

/// Appends a sample's value in quotes: "1.5", "NaN", "+Inf", "1e-07".
void AppendJsonValue(double value, std::string* out);

}  // namespace narthex::querier
