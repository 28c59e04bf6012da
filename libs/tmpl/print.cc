#include "libs/tmpl/print.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "libs/base/duration.h"
#include "libs/base/float_format.h"
#include "libs/base/quote.h"
#include "libs/base/utf8.h"
#include "libs/tmpl/go_time.h"

namespace narthex::tmpl {
namespace {

using Kind = Value::Kind;

// Widths and precisions beyond this are refused, as in Go.
constexpr int kMaxWidth = 1000000;

// The flags of one verb.
struct Verb {
  bool minus = false;
  bool plus = false;
  bool sharp = false;
  bool space = false;
  bool zero = false;
  std::optional<int> width;
  std::optional<int> precision;
  char letter = 'v';
};

std::size_t CodePoints(absl::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(),
      [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string Pad(std::string text, const Verb& verb, bool numeric) {
  const auto width = static_cast<std::size_t>(verb.width.value_or(0));
  const std::size_t size = CodePoints(text);
  if (size >= width) return text;
  const std::size_t fill = width - size;
  if (verb.minus) return text.append(fill, ' ');
  if (!verb.zero || !numeric) return text.insert(0, fill, ' ');
  const bool sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  return text.insert(sign ? 1 : 0, fill, '0');
}

std::string Bad(const Value& value, const Verb& verb);

std::string FormatInteger(bool negative, std::uint64_t magnitude,
                          const Verb& verb) {
  int base = 10;
  if (verb.letter == 'x' || verb.letter == 'X') base = 16;
  if (verb.letter == 'o' || verb.letter == 'O') base = 8;
  if (verb.letter == 'b') base = 2;
  std::array<char, 70> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(),
                                 magnitude, base);
  std::string digits(buffer.data(), end.ptr);
  if (verb.precision && *verb.precision > static_cast<int>(digits.size())) {
    digits.insert(0, static_cast<std::size_t>(*verb.precision) - digits.size(),
                  '0');
  }
  if (verb.letter == 'X') absl::AsciiStrToUpper(&digits);
  std::string prefix;
  if (verb.sharp && base == 16) prefix = verb.letter == 'X' ? "0X" : "0x";
  if (verb.sharp && base == 8) prefix = "0";
  if (verb.sharp && base == 2) prefix = "0b";
  if (verb.letter == 'O') prefix = "0o";
  const char* sign = "";
  if (negative) {
    sign = "-";
  } else if (verb.plus) {
    sign = "+";
  } else if (verb.space) {
    sign = " ";
  }
  return Pad(absl::StrCat(sign, prefix, digits), verb, !verb.precision);
}

std::string FormatRune(std::uint64_t value, const Verb& verb) {
  std::string text;
  base::AppendUtf8(
      static_cast<std::uint32_t>(std::min<std::uint64_t>(value, 0xFFFFFFFF)),
      &text);
  if (verb.letter == 'q') text = absl::StrCat("'", text, "'");
  return Pad(text, verb, false);
}

std::string FormatSigned(const Value& value, std::int64_t number,
                         const Verb& verb) {
  const bool negative = number < 0;
  const auto bits = static_cast<std::uint64_t>(number);
  switch (verb.letter) {
    case 'v':
    case 'd':
    case 'b':
    case 'o':
    case 'O':
    case 'x':
    case 'X':
      return FormatInteger(negative, negative ? ~bits + 1 : bits, verb);
    case 'c':
    case 'q':
      return FormatRune(bits, verb);
    case 'U':
      return Pad(absl::StrCat("U+", absl::Hex(bits, absl::kZeroPad4)), verb,
                 false);
    default:
      return Bad(value, verb);
  }
}

std::string FormatUnsigned(const Value& value, const Verb& verb) {
  const absl::string_view known = "vdboOxX";
  if (known.find(verb.letter) == absl::string_view::npos) {
    return FormatSigned(value, static_cast<std::int64_t>(value.uint_value()),
                        verb);
  }
  return FormatInteger(false, value.uint_value(), verb);
}

std::string ShortestFloat(double number, char letter) {
  std::array<char, 400> buffer;
  if (letter == 'g') return base::FormatFloatG(number);
  const auto format =
      letter == 'f' ? std::chars_format::fixed : std::chars_format::scientific;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(),
                                 number, format);
  return std::string(buffer.data(), end.ptr);
}

std::string FormatDouble(const Value& value, const Verb& verb) {
  const double number = value.float_value();
  char letter = verb.letter == 'v' ? 'g' : verb.letter;
  if (letter == 'F') letter = 'f';
  const absl::string_view known = "eEfgGxX";
  if (known.find(letter) == absl::string_view::npos) return Bad(value, verb);
  std::string text;
  if (!std::isfinite(number)) {
    text = base::FormatFloat(number);
    Verb plain = verb;
    plain.zero = false;
    return Pad(text, plain, false);
  }
  std::optional<int> precision = verb.precision;
  if (!precision && (letter == 'e' || letter == 'f' || letter == 'E')) {
    precision = 6;
  }
  if (precision) {
    const std::string format =
        absl::StrCat("%", verb.sharp ? "#" : "", ".*", std::string(1, letter));
    const int limited = std::min(*precision, 400);
    std::array<char, 800> buffer;
    const int size = std::snprintf(buffer.data(), buffer.size(), format.c_str(),
                                   limited, number);
    text.assign(buffer.data(), static_cast<std::size_t>(size));
  } else {
    text = ShortestFloat(number, static_cast<char>(absl::ascii_tolower(
                                     static_cast<unsigned char>(letter))));
    if (letter == 'G') absl::AsciiStrToUpper(&text);
  }
  if (text[0] != '-' && verb.plus) text.insert(0, "+");
  if (text[0] != '-' && text[0] != '+' && verb.space) text.insert(0, " ");
  return Pad(text, verb, true);
}

std::string Cut(absl::string_view text, std::optional<int> precision) {
  if (!precision) return std::string(text);
  std::size_t end = 0;
  int count = 0;
  while (end < text.size()) {
    const bool begins = (static_cast<unsigned char>(text[end]) & 0xC0) != 0x80;
    if (begins && count++ == *precision) break;
    ++end;
  }
  return std::string(text.substr(0, end));
}

std::string FormatText(const Value& value, absl::string_view text,
                       const Verb& verb) {
  switch (verb.letter) {
    case 'v':
      if (verb.sharp) return Pad(base::Quote(text), verb, false);
      return Pad(Cut(text, verb.precision), verb, true);
    case 's':
      return Pad(Cut(text, verb.precision), verb, true);
    case 'q':
      return Pad(verb.sharp && text.find('`') == absl::string_view::npos
                     ? absl::StrCat("`", text, "`")
                     : base::Quote(Cut(text, verb.precision)),
                 verb, false);
    case 'x':
      return Pad(absl::BytesToHexString(text), verb, false);
    case 'X':
      return Pad(absl::AsciiStrToUpper(absl::BytesToHexString(text)), verb,
                 false);
    default:
      return Bad(value, verb);
  }
}

std::string FormatValue(const Value& value, const Verb& verb);

std::string FormatMap(const Value& value, const Verb& verb) {
  std::string out = "map[";
  const char* separator = "";
  for (const auto& [key, element] : value.map()) {
    absl::StrAppend(&out, separator, FormatValue(Value::String(key), verb), ":",
                    FormatValue(element, verb));
    separator = " ";
  }
  return out + "]";
}

std::string FormatList(const Value& value, const Verb& verb) {
  std::string out = "[";
  const char* separator = "";
  for (const Value& item : value.list()) {
    absl::StrAppend(&out, separator, FormatValue(item, verb));
    separator = " ";
  }
  return out + "]";
}

std::string FormatStruct(const Value& value, const Verb& verb) {
  std::string out = "{";
  const char* separator = "";
  for (const auto& [name, field] : value.fields()) {
    absl::StrAppend(&out, separator);
    if (verb.plus) absl::StrAppend(&out, name, ":");
    absl::StrAppend(&out, FormatValue(field, verb));
    separator = " ";
  }
  return out + "}";
}

// Types that print themselves do so for the verbs that want text.
const Function* Stringer(const Value& value, const Verb& verb) {
  const absl::string_view textual = "vsqxX";
  if (value.type() == nullptr ||
      textual.find(verb.letter) == absl::string_view::npos) {
    return nullptr;
  }
  const auto it = value.type()->methods.find("String");
  return it == value.type()->methods.end() ? nullptr : &it->second;
}

std::string FormatValue(const Value& value, const Verb& verb) {
  if (verb.letter == 'T') {
    return Pad(value.is_nil() ? "<nil>" : value.TypeName(), verb, false);
  }
  if (const Function* stringer = Stringer(value, verb)) {
    const auto text = stringer->call({value});
    if (text.ok()) return FormatText(value, text->string_value(), verb);
  }
  switch (value.kind()) {
    case Kind::kNil:
      return verb.letter == 'v' ? Pad("<nil>", verb, false) : Bad(value, verb);
    case Kind::kBool:
      if (verb.letter != 'v' && verb.letter != 't') return Bad(value, verb);
      return Pad(value.bool_value() ? "true" : "false", verb, false);
    case Kind::kInt:
      return FormatSigned(value, value.int_value(), verb);
    case Kind::kUint:
      return FormatUnsigned(value, verb);
    case Kind::kFloat:
      return FormatDouble(value, verb);
    case Kind::kString:
      return FormatText(value, value.string_value(), verb);
    case Kind::kTime:
      return FormatText(value, TimeString(value.time_value()), verb);
    case Kind::kDuration:
      if (verb.letter == 'd') {
        return FormatSigned(value, value.duration_ns(), verb);
      }
      return FormatText(value, base::FormatGoDuration(value.duration_ns()),
                        verb);
    case Kind::kList:
      return FormatList(value, verb);
    case Kind::kMap:
      return FormatMap(value, verb);
    case Kind::kStruct:
      return FormatStruct(value, verb);
  }
  return "";
}

std::string Bad(const Value& value, const Verb& verb) {
  if (value.is_nil()) {
    return absl::StrCat("%!", std::string(1, verb.letter), "(<nil>)");
  }
  return absl::StrCat("%!", std::string(1, verb.letter), "(", value.TypeName(),
                      "=", FormatValue(value, Verb{}), ")");
}

// Walks a format string, taking its arguments in turn.
class Formatter {
 public:
  Formatter(absl::string_view format, absl::Span<const Value> values)
      : rest_(format), values_(values) {}

  std::string Run() {
    while (!rest_.empty()) {
      const std::size_t percent = std::min(rest_.find('%'), rest_.size());
      out_.append(rest_.data(), percent);
      rest_.remove_prefix(percent);
      if (rest_.empty()) break;
      rest_.remove_prefix(1);
      OneVerb();
    }
    AppendExtra();
    return std::move(out_);
  }

 private:
  void OneVerb() {
    Verb verb;
    TakeFlags(&verb);
    verb.width = TakeNumber("%!(BADWIDTH)");
    if (verb.width && *verb.width < 0) {
      verb.minus = true;
      verb.width = -*verb.width;
    }
    if (!rest_.empty() && rest_[0] == '.') {
      rest_.remove_prefix(1);
      verb.precision = TakeNumber("%!(BADPREC)").value_or(0);
      if (*verb.precision < 0) verb.precision.reset();
    }
    if (rest_.empty()) {
      out_ += "%!(NOVERB)";
      return;
    }
    verb.letter = rest_[0];
    rest_.remove_prefix(1);
    if (verb.letter == '%') {
      out_ += '%';
    } else if (next_ >= values_.size()) {
      absl::StrAppend(&out_, "%!", std::string(1, verb.letter), "(MISSING)");
    } else {
      out_ += FormatValue(values_[next_++], verb);
    }
  }

  void TakeFlags(Verb* verb) {
    for (; !rest_.empty(); rest_.remove_prefix(1)) {
      switch (rest_[0]) {
        case '-':
          verb->minus = true;
          break;
        case '+':
          verb->plus = true;
          break;
        case '#':
          verb->sharp = true;
          break;
        case ' ':
          verb->space = true;
          break;
        case '0':
          verb->zero = true;
          break;
        default:
          return;
      }
    }
  }

  std::optional<int> TakeNumber(absl::string_view complaint) {
    if (!rest_.empty() && rest_[0] == '*') {
      rest_.remove_prefix(1);
      if (next_ < values_.size() && values_[next_].kind() == Kind::kInt) {
        const std::int64_t number = values_[next_++].int_value();
        if (std::abs(number) <= kMaxWidth) return static_cast<int>(number);
      } else {
        ++next_;
      }
      absl::StrAppend(&out_, complaint);
      return std::nullopt;
    }
    std::optional<int> number;
    while (!rest_.empty() &&
           absl::ascii_isdigit(static_cast<unsigned char>(rest_[0]))) {
      number = std::min(number.value_or(0) * 10 + (rest_[0] - '0'), kMaxWidth);
      rest_.remove_prefix(1);
    }
    return number;
  }

  void AppendExtra() {
    if (next_ >= values_.size()) return;
    out_ += "%!(EXTRA ";
    const char* separator = "";
    for (; next_ < values_.size(); ++next_) {
      const Value& value = values_[next_];
      absl::StrAppend(&out_, separator);
      if (value.is_nil()) {
        out_ += "<nil>";
      } else {
        absl::StrAppend(&out_, value.TypeName(), "=",
                        FormatValue(value, Verb{}));
      }
      separator = ", ";
    }
    out_ += ")";
  }

  absl::string_view rest_;
  absl::Span<const Value> values_;
  std::size_t next_ = 0;
  std::string out_;
};

}  // namespace

std::string Print(const Value& value) {
  if (value.is_nil()) return "<no value>";
  if (value.is_string()) return value.string_value();
  return FormatValue(value, Verb{});
}

std::string Sprint(absl::Span<const Value> values) {
  std::string out;
  bool previous_text = true;  // No space at the start.
  for (const Value& value : values) {
    if (!value.is_string() && !previous_text) out += ' ';
    out += FormatValue(value, Verb{});
    previous_text = value.is_string();
  }
  return out;
}

std::string Sprintln(absl::Span<const Value> values) {
  std::string out;
  const char* separator = "";
  for (const Value& value : values) {
    absl::StrAppend(&out, separator, FormatValue(value, Verb{}));
    separator = " ";
  }
  return out + "\n";
}

std::string Sprintf(absl::string_view format, absl::Span<const Value> values) {
  return Formatter(format, values).Run();
}

}  // namespace narthex::tmpl
