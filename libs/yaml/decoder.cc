#include "libs/yaml/decoder.h"

#include <cmath>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "libs/base/duration.h"
#include "libs/base/quote.h"

namespace narthex::yaml {
namespace {

absl::Status Mismatch(const Node& node, absl::string_view wanted) {
  switch (node.kind()) {
    case Node::Kind::kSequence:
      return node.Error(absl::StrCat("expected ", wanted, ", found a list"));
    case Node::Kind::kMap:
      return node.Error(absl::StrCat("expected ", wanted, ", found a map"));
    default:
      return node.Error(absl::StrCat("expected ", wanted, ", found ",
                                     base::Quote(node.scalar())));
  }
}

/// The forms of a YAML 1.1 boolean, in the three spellings of case.
bool ParseBool(const std::string& text, bool* out) {
  if (text.empty()) return false;
  const std::string rest = text.substr(1);
  const std::string lower = absl::AsciiStrToLower(text);
  const bool spelled = rest == absl::AsciiStrToLower(rest) ||
                       text == absl::AsciiStrToUpper(text);
  if (!spelled) return false;
  for (const char* yes : {"true", "yes", "on", "y"}) {
    if (lower == yes) return *out = true, true;
  }
  for (const char* no : {"false", "no", "off", "n"}) {
    if (lower == no) return *out = false, true;
  }
  return false;
}

/// A whole number: decimal, 0x, 0o, 0b, with digits grouped by underscores, or
/// a float without a fraction.
bool ParseInteger(const Node& node, bool* negative, std::uint64_t* magnitude) {
  if (!node.is_scalar() || node.quoted()) return false;
  const std::string clean = absl::StrReplaceAll(node.scalar(), {{"_", ""}});
  absl::string_view text = clean;
  *negative = absl::ConsumePrefix(&text, "-");
  if (!*negative) absl::ConsumePrefix(&text, "+");
  if (text.empty() || !absl::ascii_isdigit(static_cast<unsigned char>(text[0])))
    return false;
  int base = 10;
  if (absl::ConsumePrefix(&text, "0x")) {
    base = 16;
  } else if (absl::ConsumePrefix(&text, "0b")) {
    base = 2;
  } else if (absl::ConsumePrefix(&text, "0o") ||
             (text.size() > 1 && text[0] == '0' &&
              text.find_first_not_of("01234567") == absl::string_view::npos)) {
    base = 8;
  }
  std::uint64_t value = 0;
  for (const char c : text) {
    const int digit =
        absl::ascii_isdigit(static_cast<unsigned char>(c))
            ? c - '0'
            : absl::ascii_tolower(static_cast<unsigned char>(c)) - 'a' + 10;
    if (digit < 0 || digit >= base) {
      double real = 0;
      if (base != 10 || !absl::SimpleAtod(text, &real) ||
          real != std::floor(real) || real >= 9.2e18) {
        return false;
      }
      *magnitude = static_cast<std::uint64_t>(real);
      return true;
    }
    const auto d = static_cast<std::uint64_t>(digit);
    const auto b = static_cast<std::uint64_t>(base);
    if (value > (std::numeric_limits<std::uint64_t>::max() - d) / b) {
      return false;
    }
    value = value * b + d;
  }
  *magnitude = value;
  return !text.empty();
}

template <typename T>
absl::Status DecodeInteger(const Node& node, T* out) {
  if (node.is_null()) return absl::OkStatus();
  bool negative = false;
  std::uint64_t magnitude = 0;
  if (!ParseInteger(node, &negative, &magnitude)) {
    return Mismatch(node, "a whole number");
  }
  using Limits = std::numeric_limits<T>;
  const std::uint64_t highest = static_cast<std::uint64_t>(Limits::max());
  const std::uint64_t lowest = Limits::is_signed ? highest + 1 : 0;
  if (magnitude > (negative ? lowest : highest)) {
    return node.Error(
        absl::StrCat("number ", node.scalar(), " is out of range"));
  }
  *out = static_cast<T>(negative ? 0 - magnitude : magnitude);
  return absl::OkStatus();
}

}  // namespace

absl::Status Decode(const Node& node, std::string* out) {
  if (node.is_null()) return absl::OkStatus();
  if (!node.is_scalar()) return Mismatch(node, "text");
  *out = node.scalar();
  return absl::OkStatus();
}

absl::Status Decode(const Node& node, bool* out) {
  if (node.is_null()) return absl::OkStatus();
  if (!node.is_scalar() || node.quoted() || !ParseBool(node.scalar(), out)) {
    return Mismatch(node, "true or false");
  }
  return absl::OkStatus();
}

absl::Status Decode(const Node& node, int* out) {
  return DecodeInteger(node, out);
}
absl::Status Decode(const Node& node, std::int64_t* out) {
  return DecodeInteger(node, out);
}
absl::Status Decode(const Node& node, std::uint32_t* out) {
  return DecodeInteger(node, out);
}
absl::Status Decode(const Node& node, std::uint64_t* out) {
  return DecodeInteger(node, out);
}

absl::Status Decode(const Node& node, double* out) {
  if (node.is_null()) return absl::OkStatus();
  if (!node.is_scalar() || node.quoted()) return Mismatch(node, "a number");
  const std::string text = absl::StrReplaceAll(node.scalar(), {{"_", ""}});
  const std::string lower = absl::AsciiStrToLower(text);
  if (lower == ".inf" || lower == "+.inf") {
    *out = std::numeric_limits<double>::infinity();
  } else if (lower == "-.inf") {
    *out = -std::numeric_limits<double>::infinity();
  } else if (lower == ".nan") {
    *out = std::numeric_limits<double>::quiet_NaN();
  } else if (text.find_first_of("0123456789") == std::string::npos ||
             !absl::SimpleAtod(text, out)) {
    return Mismatch(node, "a number");
  }
  return absl::OkStatus();
}

absl::Status DecodeDuration(const Node& node, std::int64_t* milliseconds) {
  if (node.is_null()) return absl::OkStatus();
  if (!node.is_scalar()) return Mismatch(node, "a duration");
  const auto parsed = base::ParseDuration(node.scalar());
  if (!parsed.ok()) return node.Error(parsed.status().message());
  *milliseconds = *parsed;
  return absl::OkStatus();
}

absl::Status DecodeSize(const Node& node, std::int64_t* bytes) {
  if (node.is_null()) return absl::OkStatus();
  if (!node.is_scalar()) return Mismatch(node, "a size");
  const auto parsed = base::ParseSize(node.scalar());
  if (!parsed.ok()) return node.Error(parsed.status().message());
  *bytes = *parsed;
  return absl::OkStatus();
}

Decoder::Decoder(const Node& node)
    : node_(node), taken_(node.entries().size(), false) {
  if (!node.is_map() && !node.is_null()) Fail(Mismatch(node, "a map"));
}

bool Decoder::Duration(absl::string_view name, std::int64_t* milliseconds) {
  const Node* value = Take(name);
  if (value == nullptr || value->is_null()) return false;
  Fail(DecodeDuration(*value, milliseconds));
  return ok();
}

bool Decoder::Size(absl::string_view name, std::int64_t* bytes) {
  const Node* value = Take(name);
  if (value == nullptr || value->is_null()) return false;
  Fail(DecodeSize(*value, bytes));
  return ok();
}

const Node* Decoder::Take(absl::string_view name) {
  if (!ok()) return nullptr;
  const auto& entries = node_.entries();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].key != name) continue;
    taken_[i] = true;
    return entries[i].value.get();
  }
  return nullptr;
}

void Decoder::FailField(absl::string_view name, absl::string_view reason) {
  if (!ok()) return;
  const Node* value = node_.Find(name);
  if (value != nullptr) {
    Fail(value->Error(reason));
  } else {
    Fail(node_.Error(absl::StrCat(name, ": ", reason)));
  }
}

void Decoder::FailMissing(absl::string_view name) {
  Fail(node_.Error(absl::StrCat("field ", name, " is required")));
}

absl::Status Decoder::Done() {
  const auto& entries = node_.entries();
  for (std::size_t i = 0; ok() && i < entries.size(); ++i) {
    if (taken_[i]) continue;
    Fail(node_.ErrorAt(entries[i].line,
                       absl::StrCat("field ", entries[i].key, " not found")));
  }
  return status_;
}

}  // namespace narthex::yaml
