#include "services/querier/json_writer.h"

#include <array>
#include <charconv>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/duration.h"
#include "libs/base/float_format.h"
#include "libs/base/quote.h"

namespace narthex::querier {
namespace {

constexpr char kHex[] = "0123456789abcdef";

// What a byte needs inside a JSON string.
enum class Escape : std::uint8_t { kNone, kAlways, kHtml, kMultiByte };

constexpr std::array<Escape, 256> MakeEscapes() {
  std::array<Escape, 256> escapes{};
  for (std::size_t i = 0; i < 0x20; ++i) escapes[i] = Escape::kAlways;
  escapes['"'] = Escape::kAlways;
  escapes['\\'] = Escape::kAlways;
  for (const char c : {'<', '>', '&'}) {
    escapes[static_cast<unsigned char>(c)] = Escape::kHtml;
  }
  for (std::size_t i = 0x80; i < 256; ++i) escapes[i] = Escape::kMultiByte;
  return escapes;
}

constexpr std::array<Escape, 256> kEscapes = MakeEscapes();

Escape EscapeOf(char c) { return kEscapes[static_cast<unsigned char>(c)]; }

void AppendEscaped(char c, std::string* out) {
  switch (c) {
    case '"':
      out->append("\\\"");
      break;
    case '\\':
      out->append("\\\\");
      break;
    case '\n':
      out->append("\\n");
      break;
    case '\r':
      out->append("\\r");
      break;
    case '\t':
      out->append("\\t");
      break;
    default:
      out->append("\\u00");
      out->push_back(kHex[static_cast<unsigned char>(c) >> 4]);
      out->push_back(kHex[static_cast<unsigned char>(c) & 0xf]);
  }
}

// Bytes of the UTF-8 sequence at the front of `text`, 0 when it is none.
std::size_t SequenceLength(absl::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || text.size() < length) return 0;
  return base::IsValidUtf8(text.substr(0, length)) ? length : 0;
}

// Appends the sequence at the front of `text` and returns its length.
std::size_t AppendMultiByte(absl::string_view text, std::string* out) {
  const std::size_t length = SequenceLength(text);
  const absl::string_view sequence = text.substr(0, length);
  if (length == 0) {
    out->append("\\ufffd");
    return 1;
  }
  // Line separators end a line of JavaScript.
  if (sequence == "\u2028") {
    out->append("\\u2028");
  } else if (sequence == "\u2029") {
    out->append("\\u2029");
  } else {
    out->append(sequence.data(), sequence.size());
  }
  return length;
}

// What stands between the quotes, without the escapes for HTML and bad UTF-8:
// labels are always valid.
void AppendPlainText(absl::string_view text, std::string* out) {
  std::size_t copied = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (EscapeOf(text[i]) != Escape::kAlways) continue;
    out->append(text.data() + copied, i - copied);
    AppendEscaped(text[i], out);
    copied = i + 1;
  }
  out->append(text.data() + copied, text.size() - copied);
}

}  // namespace

void AppendJsonString(absl::string_view text, std::string* out) {
  out->push_back('"');
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    switch (EscapeOf(c)) {
      case Escape::kNone: {
        const std::size_t begin = i;
        while (i < text.size() && EscapeOf(text[i]) == Escape::kNone) ++i;
        out->append(text.data() + begin, i - begin);
        break;
      }
      case Escape::kAlways:
        AppendEscaped(c, out);
        ++i;
        break;
      case Escape::kHtml:
        out->append("\\u00");
        out->push_back(kHex[c >> 4]);
        out->push_back(kHex[c & 0xf]);
        ++i;
        break;
      case Escape::kMultiByte:
        i += AppendMultiByte(text.substr(i), out);
        break;
    }
  }
  out->push_back('"');
}

void AppendJsonPair(const model::Label& label, std::string* out) {
  out->push_back('"');
  AppendPlainText(label.name, out);
  out->append("\":\"", 3);
  AppendPlainText(label.value, out);
  out->push_back('"');
}

void AppendJsonLabels(const model::Labels& labels, std::string* out) {
  absl::string_view before = "{\"";
  for (const model::Label& label : labels) {
    out->append(before.data(), before.size());
    before = "\",\"";
    AppendPlainText(label.name, out);
    out->append("\":\"", 3);
    AppendPlainText(label.value, out);
  }
  out->append(labels.empty() ? "{}" : "\"}");
}

void AppendJsonTime(std::int64_t unix_ms, std::string* out) {
  std::array<char, 32> buffer;
  char* end = buffer.data();
  auto magnitude = static_cast<std::uint64_t>(unix_ms);
  if (unix_ms < 0) {
    *end++ = '-';
    magnitude = 0 - magnitude;
  }
  end = std::to_chars(end, buffer.data() + buffer.size(), magnitude / 1000).ptr;
  if (const auto ms = static_cast<int>(magnitude % 1000); ms != 0) {
    *end++ = '.';
    *end++ = static_cast<char>('0' + ms / 100);
    *end++ = static_cast<char>('0' + ms / 10 % 10);
    *end++ = static_cast<char>('0' + ms % 10);
  }
  out->append(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
}

void AppendJsonValue(double value, std::string* out) {
  out->push_back('"');
  const double magnitude = std::abs(value);
  if (magnitude < 1e15 && value == std::trunc(value) &&
      (value != 0 || !std::signbit(value))) {
    std::array<char, 24> buffer;
    const auto integer = static_cast<std::int64_t>(value);
    char* const end =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), integer)
            .ptr;
    out->append(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  } else if (magnitude != 0 && (magnitude < 1e-6 || magnitude >= 1e21)) {
    out->append(base::FormatFloatG(value));
  } else {
    base::AppendFloat(value, out);
  }
  out->push_back('"');
}

void JsonWriter::Separate() {
  if (needs_comma_) out_->push_back(',');
  needs_comma_ = true;
}

std::string* JsonWriter::Raw() {
  Separate();
  return out_;
}

JsonWriter& JsonWriter::BeginObject() {
  Separate();
  out_->push_back('{');
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::EndObject() {
  out_->push_back('}');
  needs_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::BeginArray() {
  Separate();
  out_->push_back('[');
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::EndArray() {
  out_->push_back(']');
  needs_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::Key(absl::string_view name) {
  Separate();
  absl::StrAppend(out_, "\"", name, "\":");
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::QuotedKey(absl::string_view name) {
  AppendJsonString(name, Raw());
  out_->push_back(':');
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::String(absl::string_view text) {
  AppendJsonString(text, Raw());
  return *this;
}

JsonWriter& JsonWriter::Int(std::int64_t value) {
  absl::StrAppend(Raw(), value);
  return *this;
}

JsonWriter& JsonWriter::Double(double value) {
  const double magnitude = std::abs(value);
  if (magnitude == 0 || (magnitude >= 1e-6 && magnitude < 1e21)) {
    base::AppendFloat(value, Raw());
    return *this;
  }
  // JSON's exponents have no leading zero: 1e-7.
  std::string text = base::FormatFloatG(value);
  const std::size_t exponent = text.find("e-0");
  if (exponent != std::string::npos) text.erase(exponent + 2, 1);
  Raw()->append(text);
  return *this;
}

JsonWriter& JsonWriter::Bool(bool value) {
  Raw()->append(value ? "true" : "false");
  return *this;
}

JsonWriter& JsonWriter::Null() {
  Raw()->append("null");
  return *this;
}

JsonWriter& JsonWriter::Labels(const model::Labels& labels) {
  AppendJsonLabels(labels, Raw());
  return *this;
}

JsonWriter& JsonWriter::Strings(const std::vector<std::string>& texts) {
  BeginArray();
  for (const std::string& text : texts) String(text);
  return EndArray();
}

JsonWriter& JsonWriter::Time(std::int64_t unix_ms) {
  if (unix_ms == 0) return String("0001-01-01T00:00:00Z");
  return String(base::FormatRfc3339(unix_ms));
}

}  // namespace narthex::querier
