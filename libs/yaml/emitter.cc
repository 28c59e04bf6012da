#include "libs/yaml/emitter.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "libs/base/duration.h"
#include "libs/base/float_format.h"
#include "libs/yaml/scalar_style.h"

namespace narthex::yaml {

void Emitter::NewLine(int indent) {
  if (!out_.empty()) out_.push_back('\n');
  out_.append(static_cast<std::size_t>(indent), ' ');
}

void Emitter::Prefix(bool collection) {
  if (levels_.empty()) return;
  Level& level = levels_.back();
  if (level.is_map) {
    if (!collection) out_.push_back(' ');
    after_key_ = false;
    return;
  }
  if (!after_dash_) NewLine(level.indent);
  out_.append("- ");
  level.empty = false;
  after_dash_ = collection;
}

void Emitter::Begin(bool is_map) {
  Level next;
  next.is_map = is_map;
  if (!levels_.empty()) {
    const Level& parent = levels_.back();
    next.after_key = parent.is_map;
    next.indent = parent.indent + (parent.is_map && !is_map ? 0 : 2);
  }
  Prefix(true);
  levels_.push_back(next);
}

void Emitter::End(absl::string_view empty_form) {
  const Level level = levels_.back();
  levels_.pop_back();
  if (level.empty) {
    absl::StrAppend(&out_, level.after_key ? " " : "", empty_form);
  }
  after_dash_ = false;
  Finish();
}

void Emitter::Finish() {
  if (levels_.empty()) out_.push_back('\n');
}

Emitter& Emitter::BeginMap() {
  Begin(true);
  return *this;
}

Emitter& Emitter::EndMap() {
  End("{}");
  return *this;
}

Emitter& Emitter::BeginSequence() {
  Begin(false);
  return *this;
}

Emitter& Emitter::EndSequence() {
  End("[]");
  return *this;
}

Emitter& Emitter::Key(absl::string_view key) {
  Level& level = levels_.back();
  if (!after_dash_) NewLine(level.indent);
  after_dash_ = false;
  level.empty = false;
  internal::AppendScalar(key, level.indent, true, &out_);
  out_.push_back(':');
  after_key_ = true;
  return *this;
}

Emitter& Emitter::String(absl::string_view text) {
  Prefix(false);
  const int indent = levels_.empty() ? 0 : levels_.back().indent + 2;
  internal::AppendScalar(text, indent, false, &out_);
  Finish();
  return *this;
}

void Emitter::Plain(absl::string_view text) {
  Prefix(false);
  out_.append(text.data(), text.size());
  Finish();
}

Emitter& Emitter::Bool(bool value) {
  Plain(value ? "true" : "false");
  return *this;
}

Emitter& Emitter::Int(std::int64_t value) {
  Plain(absl::StrCat(value));
  return *this;
}

Emitter& Emitter::Float(double value) {
  if (std::isnan(value)) {
    Plain(".nan");
  } else if (std::isinf(value)) {
    Plain(value > 0 ? ".inf" : "-.inf");
  } else {
    Plain(base::FormatFloatG(value));
  }
  return *this;
}

Emitter& Emitter::Null() {
  Plain("null");
  return *this;
}

Emitter& Emitter::Json(absl::string_view json) {
  Plain(json);
  return *this;
}

Emitter& Emitter::Duration(std::int64_t milliseconds) {
  Plain(base::FormatDuration(milliseconds));
  return *this;
}

void Emitter::Field(absl::string_view key,
                    const std::vector<std::string>& list) {
  Key(key).BeginSequence();
  for (const std::string& item : list) String(item);
  EndSequence();
}

void Emitter::FlowField(absl::string_view key,
                        const std::vector<std::string>& list) {
  Key(key);
  Prefix(false);
  out_.push_back('[');
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i > 0) out_.append(", ");
    internal::AppendFlowScalar(list[i], &out_);
  }
  out_.push_back(']');
}

}  // namespace narthex::yaml
