#include "libs/tmpl/json.h"

#include <array>
#include <charconv>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/tmpl/go_time.h"

namespace narthex::tmpl {
namespace {

using Kind = Value::Kind;

// Whether the bytes at `at` are U+2028 or U+2029, which JavaScript takes for
// line ends.
bool IsLineSeparator(absl::string_view text, std::size_t at) {
  return text.substr(at, 2) == "\xE2\x80" && at + 2 < text.size() &&
         (text[at + 2] == '\xA8' || text[at + 2] == '\xA9');
}

// Length of the valid UTF-8 sequence at `at`; 0 when it is not one.
std::size_t SequenceLength(absl::string_view text, std::size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  const std::size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  const absl::string_view sequence = text.substr(at, length);
  return sequence.size() == length && base::IsValidUtf8(sequence) ? length : 0;
}

void AppendString(absl::string_view text, std::string* out) {
  *out += '"';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      *out += '\\';
      *out += c;
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c == '\r') {
      *out += "\\r";
    } else if (c == '\t') {
      *out += "\\t";
    } else if (c == '\b') {
      *out += "\\b";
    } else if (c == '\f') {
      *out += "\\f";
    } else if (byte < 0x20 || c == '<' || c == '>' || c == '&') {
      absl::StrAppendFormat(out, "\\u%04x", byte);
    } else if (byte < 0x80) {
      *out += c;
    } else if (IsLineSeparator(text, i)) {
      *out += text[i + 2] == '\xA8' ? "\\u2028" : "\\u2029";
      i += 2;
    } else if (const std::size_t n = SequenceLength(text, i); n > 0) {
      out->append(text.data() + i, n);
      i += n - 1;
    } else {
      *out += "\\ufffd";
    }
  }
  *out += '"';
}

absl::Status AppendNumber(double number, std::string* out) {
  if (!std::isfinite(number)) {
    return absl::InvalidArgumentError(
        absl::StrCat("json: unsupported value: ", number));
  }
  const double magnitude = std::fabs(number);
  const bool exponent =
      magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21);
  std::array<char, 64> buffer;
  const auto end = std::to_chars(
      buffer.data(), buffer.data() + buffer.size(), number,
      exponent ? std::chars_format::scientific : std::chars_format::fixed);
  std::string text(buffer.data(), end.ptr);
  // Go writes e-9, not e-09.
  const std::size_t e = text.find("e-0");
  if (e != std::string::npos) text.erase(e + 2, 1);
  *out += text;
  return absl::OkStatus();
}

absl::Status Append(const Value& value, std::string* out);

absl::Status AppendMap(const Value& value, std::string* out) {
  if (value.is_nil_map()) {
    *out += "null";
    return absl::OkStatus();
  }
  const char* separator = "";
  *out += '{';
  for (const auto& [key, element] : value.map()) {
    absl::StrAppend(out, separator);
    AppendString(key, out);
    *out += ':';
    NARTHEX_RETURN_IF_ERROR(Append(element, out));
    separator = ",";
  }
  *out += '}';
  return absl::OkStatus();
}

absl::Status AppendList(const Value& value, std::string* out) {
  const char* separator = "";
  *out += '[';
  for (const Value& item : value.list()) {
    absl::StrAppend(out, separator);
    NARTHEX_RETURN_IF_ERROR(Append(item, out));
    separator = ",";
  }
  *out += ']';
  return absl::OkStatus();
}

absl::Status AppendStruct(const Value& value, std::string* out) {
  const char* separator = "";
  *out += '{';
  std::size_t i = 0;
  for (const auto& [name, field] : value.fields()) {
    absl::StrAppend(out, separator);
    const bool renamed =
        value.type() != nullptr && i < value.type()->json_names.size();
    AppendString(renamed ? value.type()->json_names[i] : name, out);
    ++i;
    *out += ':';
    NARTHEX_RETURN_IF_ERROR(Append(field, out));
    separator = ",";
  }
  *out += '}';
  return absl::OkStatus();
}

absl::Status Append(const Value& value, std::string* out) {
  switch (value.kind()) {
    case Kind::kNil:
      *out += "null";
      return absl::OkStatus();
    case Kind::kBool:
      *out += value.bool_value() ? "true" : "false";
      return absl::OkStatus();
    case Kind::kInt:
      absl::StrAppend(out, value.int_value());
      return absl::OkStatus();
    case Kind::kUint:
      absl::StrAppend(out, value.uint_value());
      return absl::OkStatus();
    case Kind::kFloat:
      return AppendNumber(value.float_value(), out);
    case Kind::kString:
      AppendString(value.string_value(), out);
      return absl::OkStatus();
    case Kind::kTime:
      AppendString(
          FormatTime(value.time_value(), "2006-01-02T15:04:05.999999999Z07:00"),
          out);
      return absl::OkStatus();
    case Kind::kDuration:
      absl::StrAppend(out, value.duration_ns());
      return absl::OkStatus();
    case Kind::kList:
      return AppendList(value, out);
    case Kind::kMap:
      return AppendMap(value, out);
    case Kind::kStruct:
      return AppendStruct(value, out);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ToJson(const Value& value) {
  std::string out;
  NARTHEX_RETURN_IF_ERROR(Append(value, &out));
  return out;
}

}  // namespace narthex::tmpl
