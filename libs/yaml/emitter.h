#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace narthex::yaml {

/// Prints YAML the way Prometheus prints its own configuration: block style,
/// list items at the column of their key, text quoted only where it must be,
/// lines folded at blanks after 80 columns. Fields come in the order they are
/// written.
///
///   Emitter out;
///   out.BeginMap();
///   out.Field("scrape_interval", "1m");
///   out.Key("static_configs").BeginSequence();
///   ...
///   out.EndSequence();
///   out.EndMap();
class Emitter {
 public:
  Emitter& BeginMap();
  Emitter& EndMap();
  Emitter& BeginSequence();
  Emitter& EndSequence();
  /// The name of the next value of the open map.
  Emitter& Key(absl::string_view key);

  Emitter& String(absl::string_view text);
  Emitter& Bool(bool value);
  Emitter& Int(std::int64_t value);
  Emitter& Float(double value);
  Emitter& Null();
  /// A value that is JSON already, on one line.
  Emitter& Json(absl::string_view json);
  /// A Prometheus duration given in milliseconds.
  Emitter& Duration(std::int64_t milliseconds);

  void Field(absl::string_view key, absl::string_view text) {
    Key(key).String(text);
  }
  void Field(absl::string_view key, const char* text) { Key(key).String(text); }
  void Field(absl::string_view key, bool value) { Key(key).Bool(value); }
  void Field(absl::string_view key, std::int64_t value) { Key(key).Int(value); }
  void Field(absl::string_view key, const std::vector<std::string>& list);
  /// The list on one line: `key: [a, b]`.
  void FlowField(absl::string_view key, const std::vector<std::string>& list);

  /// What has been printed; ends with a newline unless it is empty.
  const std::string& text() const { return out_; }

 private:
  struct Level {
    bool is_map = false;
    bool after_key = false;  // It is the value of a key, not a list item.
    bool empty = true;
    int indent = 0;
  };

  /// Prints what stands before a value: the blank after a key or the dash of
  /// a list item.
  void Prefix(bool collection);
  void Begin(bool is_map);
  void End(absl::string_view empty_form);
  void Plain(absl::string_view text);
  void NewLine(int indent);
  void Finish();

  std::string out_;
  std::vector<Level> levels_;
  bool after_key_ = false;   // A key was printed, its value comes next.
  bool after_dash_ = false;  // The line holds nothing but dashes so far.
};

}  // namespace narthex::yaml
