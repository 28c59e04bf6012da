#include "services/alertmanager/json.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/utf8.h"

namespace narthex::alertmanager {
namespace {

constexpr int kMaxDepth = 100;
constexpr char kHexDigits[] = "0123456789abcdef";

bool NeedsEscape(unsigned char c) {
  return c < 0x20 || c == '"' || c == '\\' || c == '<' || c == '>' ||
         c == '&' || c >= 0x7f;
}

void AppendUnicodeEscape(unsigned code, std::string* out) {
  *out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) {
    *out += kHexDigits[(code >> shift) & 0xfU];
  }
}

/// Length of the valid UTF-8 sequence at the front of `text`, 0 for none.
std::size_t SequenceLength(absl::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || size > text.size()) return 0;
  return base::IsValidUtf8(text.substr(0, size)) ? size : 0;
}

/// Escapes the character at the front of `text`; returns its length.
std::size_t AppendEscaped(absl::string_view text, std::string* out) {
  const auto c = static_cast<unsigned char>(text[0]);
  if (c < 0x80) {
    switch (c) {
      case '"':
        *out += "\\\"";
        break;
      case '\\':
        *out += "\\\\";
        break;
      case '\n':
        *out += "\\n";
        break;
      case '\r':
        *out += "\\r";
        break;
      case '\t':
        *out += "\\t";
        break;
      case '\b':
        *out += "\\b";
        break;
      case '\f':
        *out += "\\f";
        break;
      case 0x7f:
        *out += '\x7f';
        break;
      default:
        AppendUnicodeEscape(c, out);
    }
    return 1;
  }
  const std::size_t size = SequenceLength(text);
  if (size == 0) {
    *out += "\\ufffd";
    return 1;
  }
  const absl::string_view sequence = text.substr(0, size);
  if (sequence == "\u2028" || sequence == "\u2029") {
    AppendUnicodeEscape(sequence == "\u2028" ? 0x2028 : 0x2029, out);
  } else {
    out->append(sequence.data(), sequence.size());
  }
  return size;
}

}  // namespace

void AppendJsonString(absl::string_view text, std::string* out) {
  *out += '"';
  std::size_t begin = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    if (!NeedsEscape(static_cast<unsigned char>(text[at]))) {
      ++at;
      continue;
    }
    out->append(text.data() + begin, at - begin);
    at += AppendEscaped(text.substr(at), out);
    begin = at;
  }
  out->append(text.data() + begin, at - begin);
  *out += '"';
}

bool JsonReader::Fail(absl::string_view reason) {
  if (ok()) status_ = absl::InvalidArgumentError(reason);
  position_ = end_;
  return false;
}

void JsonReader::SkipSpace() {
  while (position_ < end_ && (*position_ == ' ' || *position_ == '\n' ||
                              *position_ == '\r' || *position_ == '\t')) {
    ++position_;
  }
}

bool JsonReader::Consume(char c) {
  SkipSpace();
  if (position_ < end_ && *position_ == c) {
    ++position_;
    return true;
  }
  return false;
}

JsonReader::Kind JsonReader::Peek() {
  SkipSpace();
  if (!ok()) return Kind::kError;
  if (position_ == end_) {
    Fail("unexpected EOF");
    return Kind::kError;
  }
  switch (*position_) {
    case '{':
      return Kind::kObject;
    case '[':
      return Kind::kArray;
    case '"':
      return Kind::kString;
    case 't':
    case 'f':
      return Kind::kBool;
    case 'n':
      return Kind::kNull;
    default:
      if (*position_ == '-' || (*position_ >= '0' && *position_ <= '9')) {
        return Kind::kNumber;
      }
      Fail(absl::StrCat("invalid character '", absl::string_view(position_, 1),
                        "' looking for beginning of value"));
      return Kind::kError;
  }
}

bool JsonReader::BeginArray() {
  if (Peek() != Kind::kArray) return Fail("expected an array");
  if (++depth_ > kMaxDepth) return Fail("nested too deeply");
  ++position_;
  first_ = true;
  return true;
}

bool JsonReader::NextItem() {
  if (!ok()) return false;
  if (Consume(']')) {
    first_ = false;
    --depth_;
    return false;
  }
  if (!first_ && !Consume(',')) {
    SkipSpace();
    return Fail(position_ == end_ ? "unexpected EOF"
                                  : "expected a comma after array element");
  }
  first_ = false;
  return Peek() != Kind::kError;
}

bool JsonReader::BeginObject() {
  if (Peek() != Kind::kObject) return Fail("expected an object");
  if (++depth_ > kMaxDepth) return Fail("nested too deeply");
  ++position_;
  first_ = true;
  return true;
}

bool JsonReader::NextField(std::string* name) {
  if (!ok()) return false;
  if (Consume('}')) {
    first_ = false;
    --depth_;
    return false;
  }
  if (!first_ && !Consume(',')) {
    SkipSpace();
    return Fail(position_ == end_ ? "unexpected EOF"
                                  : "expected a comma after object field");
  }
  first_ = false;
  if (Peek() != Kind::kString) return Fail("expected the name of a field");
  if (!String(name)) return false;
  if (!Consume(':')) return Fail("expected a colon after object key");
  return true;
}

bool JsonReader::Hex4(std::uint32_t* out) {
  if (end_ - position_ < 4) return Fail("unexpected EOF");
  *out = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = *position_++;
    const char* digit = std::strchr(kHexDigits, c | 0x20);
    if (c == '\0' || digit == nullptr) return Fail("invalid \\u escape");
    *out = *out * 16 + static_cast<std::uint32_t>(digit - kHexDigits);
  }
  return true;
}

bool JsonReader::Escape(std::string* out) {
  if (position_ == end_) return Fail("unexpected EOF");
  const char c = *position_++;
  switch (c) {
    case 'n':
      *out += '\n';
      return true;
    case 't':
      *out += '\t';
      return true;
    case 'r':
      *out += '\r';
      return true;
    case 'b':
      *out += '\b';
      return true;
    case 'f':
      *out += '\f';
      return true;
    case '"':
    case '\\':
    case '/':
      *out += c;
      return true;
    case 'u':
      break;
    default:
      return Fail("invalid escape in string");
  }
  std::uint32_t code = 0;
  if (!Hex4(&code)) return false;
  const bool high = code >= 0xd800 && code < 0xdc00;
  if (high && end_ - position_ >= 6 && position_[0] == '\\' &&
      position_[1] == 'u') {
    position_ += 2;
    std::uint32_t low = 0;
    if (!Hex4(&low)) return false;
    const bool paired = low >= 0xdc00 && low < 0xe000;
    code = paired ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : 0xfffd;
  } else if (code >= 0xd800 && code < 0xe000) {
    code = 0xfffd;
  }
  base::AppendUtf8(code, out);
  return true;
}

bool JsonReader::String(std::string* out) {
  out->clear();
  if (Peek() != Kind::kString) return Fail("expected a string");
  ++position_;
  while (position_ < end_) {
    const char* run = position_;
    while (position_ < end_ && *position_ != '"' && *position_ != '\\' &&
           static_cast<unsigned char>(*position_) >= 0x20) {
      ++position_;
    }
    out->append(run, static_cast<std::size_t>(position_ - run));
    if (position_ == end_) break;
    const char c = *position_++;
    if (c == '"') {
      return base::IsValidUtf8(*out) || Fail("string is not valid UTF-8");
    }
    if (c != '\\') return Fail("invalid control character in string literal");
    if (!Escape(out)) return false;
  }
  return Fail("unexpected EOF");
}

bool JsonReader::Literal(absl::string_view word) {
  if (static_cast<std::size_t>(end_ - position_) < word.size()) {
    return Fail("unexpected EOF");
  }
  if (absl::string_view(position_, word.size()) != word) {
    return Fail("invalid literal");
  }
  position_ += word.size();
  return true;
}

bool JsonReader::Bool(bool* out) {
  if (Peek() != Kind::kBool) return Fail("expected a boolean");
  *out = *position_ == 't';
  return Literal(*out ? "true" : "false");
}

bool JsonReader::TakeNull() { return Peek() == Kind::kNull && Literal("null"); }

bool JsonReader::Number() {
  const char* begin = position_;
  while (position_ < end_ && std::strchr("+-.eE0123456789", *position_)) {
    ++position_;
  }
  return position_ > begin;
}

bool JsonReader::Skip() {
  std::string text;
  bool truth = false;
  switch (Peek()) {
    case Kind::kNull:
      return Literal("null");
    case Kind::kBool:
      return Bool(&truth);
    case Kind::kNumber:
      return Number();
    case Kind::kString:
      return String(&text);
    case Kind::kArray:
      BeginArray();
      while (NextItem()) Skip();
      return ok();
    case Kind::kObject:
      BeginObject();
      while (NextField(&text)) Skip();
      return ok();
    case Kind::kError:
      return false;
  }
  return false;
}

bool JsonReader::End() {
  SkipSpace();
  if (!ok()) return false;
  return position_ == end_ || Fail("invalid character after top-level value");
}

}  // namespace narthex::alertmanager
