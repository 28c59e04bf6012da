#include "libs/tmpl/internal/html_writer.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/tmpl/json.h"
#include "libs/tmpl/print.h"

namespace narthex::tmpl::internal {
namespace {

// What stands for a value that would be unsafe whatever the escaping.
constexpr absl::string_view kUnsafe = "ZgotmplZ";

bool IsAlnum(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}
bool IsSpace(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}

std::string TextOf(const Value& value) {
  return value.is_nil() ? "" : Print(value);
}

// Replaces what means something in text and quoted attributes. With `keep`,
// entities that are there already stay.
std::string Replace(absl::string_view text, bool keep_entities, bool unquoted) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '\0':
        out += "\xEF\xBF\xBD";
        break;
      case '&':
        out += keep_entities ? "&" : "&amp;";
        break;
      case '"':
      case '\'':
      case '+':
        absl::StrAppend(&out, "&#", static_cast<int>(c), ";");
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        if (unquoted && (IsSpace(c) || c == '=' || c == '`')) {
          absl::StrAppend(&out, "&#", static_cast<int>(c), ";");
        } else {
          out += c;
        }
    }
  }
  return out;
}

std::string StripTags(absl::string_view html) {
  std::string out;
  bool inside = false;
  for (const char c : html) {
    if (c == '<') inside = true;
    if (!inside) out += c;
    if (c == '>') inside = false;
  }
  return out;
}

bool IsHex(absl::string_view text, std::size_t at) {
  return at < text.size() &&
         absl::ascii_isxdigit(static_cast<unsigned char>(text[at]));
}

// Percent-encodes; a normalised URL keeps what has a meaning in URLs.
std::string EncodeUrl(absl::string_view text, bool normalise) {
  constexpr absl::string_view kReserved = "!#$&*+,/:;=?@[]";
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool kept =
        IsAlnum(c) || c == '-' || c == '.' || c == '_' || c == '~' ||
        (normalise && kReserved.find(c) != absl::string_view::npos) ||
        (normalise && c == '%' && IsHex(text, i + 1) && IsHex(text, i + 2));
    if (kept) {
      out += c;
    } else {
      absl::StrAppendFormat(&out, "%%%02x", static_cast<unsigned char>(c));
    }
  }
  return out;
}

bool HasSafeScheme(absl::string_view url) {
  const std::size_t colon = url.find(':');
  if (colon == absl::string_view::npos ||
      url.substr(0, colon).find('/') != absl::string_view::npos) {
    return true;
  }
  const std::string scheme = absl::AsciiStrToLower(url.substr(0, colon));
  return scheme == "http" || scheme == "https" || scheme == "mailto";
}

std::string ScriptValue(const Value& value) {
  const auto json = ToJson(value);
  if (!json.ok()) return " null ";
  // Numbers and words must not run into what is around them.
  const bool word =
      !json->empty() && ((*json)[0] == '-' || IsAlnum((*json)[0]));
  return word ? absl::StrCat(" ", *json, " ") : *json;
}

std::string InsideScriptString(absl::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '/') {
      out += "\\/";
    } else if (byte < 0x20 || absl::StrContains("\"'<>&+`$", c)) {
      absl::StrAppendFormat(&out, "\\u%04x", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::string StyleValue(absl::string_view text) {
  // Nothing that ends a value or calls anything.
  const absl::string_view kForbidden("\0\"'()/;@[\\]`{}<>", 16);
  std::string letters;
  bool safe = text.find("--") == absl::string_view::npos;
  for (const char c : text) {
    safe = safe && kForbidden.find(c) == absl::string_view::npos;
    if (IsAlnum(c) || c == '-' || c == '_') letters += c;
  }
  absl::AsciiStrToLower(&letters);
  safe = safe && !absl::StrContains(letters, "expression") &&
         !absl::StrContains(letters, "mozbinding");
  return std::string(safe ? text : kUnsafe);
}

bool IsRawElement(absl::string_view element) {
  return element == "script" || element == "style" || element == "textarea" ||
         element == "title";
}

bool IsUrlAttribute(absl::string_view name) {
  static constexpr std::array<absl::string_view, 17> kNames = {
      "action", "archive",    "background", "cite",   "classid",  "codebase",
      "data",   "formaction", "href",       "icon",   "longdesc", "manifest",
      "poster", "profile",    "src",        "usemap", "xmlns"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
         absl::StrContains(name, "src") || absl::StrContains(name, "uri") ||
         absl::StrContains(name, "url");
}

}  // namespace

void HtmlWriter::WriteText(absl::string_view text) {
  for (const char c : text) Follow(c);
  out_.append(text.data(), text.size());
}

void HtmlWriter::Follow(char c) {
  recent_ += c;
  if (recent_.size() > 16) recent_.erase(0, 1);
  switch (state_) {
    case State::kText:
      if (c == '<') state_ = State::kTagOpen;
      return;
    case State::kComment:
      if (absl::EndsWith(recent_, "-->")) state_ = State::kText;
      return;
    case State::kRaw:
      return FollowRaw(c);
    case State::kBeforeValue:
    case State::kAttribute:
      return FollowAttribute(c);
    default:
      return FollowTag(c);
  }
}

void HtmlWriter::FollowTag(char c) {
  switch (state_) {
    case State::kTagOpen:
      closing_ = c == '/';
      element_.clear();
      if (c == '!' || c == '?') {
        state_ = c == '!' ? State::kTagName : State::kText;
        return;
      }
      if (closing_) {
        state_ = State::kTagName;
      } else if (IsAlnum(c)) {
        element_ += absl::ascii_tolower(static_cast<unsigned char>(c));
        state_ = State::kTagName;
      } else {
        state_ = State::kText;
      }
      return;
    case State::kTagName:
      if (absl::EndsWith(recent_, "<!--")) {
        state_ = State::kComment;
      } else if (c == '>') {
        EndTag();
      } else if (IsSpace(c) || c == '/') {
        state_ = State::kTag;
      } else {
        element_ += absl::ascii_tolower(static_cast<unsigned char>(c));
      }
      return;
    case State::kTag:
    case State::kAfterName:
      if (c == '>') {
        EndTag();
      } else if (c == '=' && state_ == State::kAfterName) {
        state_ = State::kBeforeValue;
      } else if (!IsSpace(c) && c != '/') {
        name_.assign(1, static_cast<char>(absl::ascii_tolower(
                            static_cast<unsigned char>(c))));
        state_ = State::kAttributeName;
      }
      return;
    default:  // kAttributeName
      if (c == '>') {
        EndTag();
      } else if (c == '=') {
        state_ = State::kBeforeValue;
      } else if (IsSpace(c)) {
        state_ = State::kAfterName;
      } else {
        name_ += absl::ascii_tolower(static_cast<unsigned char>(c));
      }
  }
}

void HtmlWriter::EndTag() {
  state_ = !closing_ && IsRawElement(element_) ? State::kRaw : State::kText;
  script_quote_ = 0;
}

void HtmlWriter::BeginValue(char delimiter) {
  state_ = State::kAttribute;
  delimiter_ = delimiter;
  url_ = UrlPart::kStart;
  script_quote_ = 0;
  if (absl::StartsWith(name_, "on")) {
    attribute_ = Attribute::kScript;
  } else if (name_ == "style") {
    attribute_ = Attribute::kStyle;
  } else {
    attribute_ = IsUrlAttribute(name_) ? Attribute::kUrl : Attribute::kPlain;
  }
}

void HtmlWriter::FollowAttribute(char c) {
  if (state_ == State::kBeforeValue) {
    if (IsSpace(c)) return;
    if (c == '>') return EndTag();
    const bool quoted = c == '"' || c == '\'';
    BeginValue(quoted ? c : '\0');
    if (quoted) return;
  }
  if (delimiter_ == 0 ? IsSpace(c) || c == '>' : c == delimiter_) {
    state_ = State::kTag;
    if (c == '>') EndTag();
    return;
  }
  if (c == '?' || c == '#') {
    url_ = UrlPart::kQuery;
  } else if (url_ == UrlPart::kStart && !IsSpace(c)) {
    url_ = UrlPart::kPath;
  }
  if (attribute_ == Attribute::kScript && c == '\'') {
    script_quote_ = script_quote_ == 0 ? c : '\0';
  }
}

void HtmlWriter::FollowRaw(char c) {
  if (c == '>' || IsSpace(c)) {
    const std::string end = absl::StrCat("</", element_, std::string(1, c));
    if (absl::EndsWithIgnoreCase(recent_, end)) {
      closing_ = true;
      state_ = c == '>' ? State::kText : State::kTag;
      return;
    }
  }
  if (element_ != "script") return;
  if (script_escape_) {
    script_escape_ = false;
  } else if (script_quote_ != 0) {
    script_escape_ = c == '\\';
    if (c == script_quote_ || c == '\n') script_quote_ = 0;
  } else if (c == '"' || c == '\'' || c == '`') {
    script_quote_ = c;
  }
}

std::string HtmlWriter::RawText(const Value& value) const {
  if (element_ == "script") {
    return script_quote_ == 0 ? ScriptValue(value)
                              : InsideScriptString(TextOf(value));
  }
  if (element_ == "style") return StyleValue(TextOf(value));
  return Replace(TextOf(value), value.safety() == Safety::kHtml, false);
}

std::string HtmlWriter::AttributeText(const Value& value) {
  const bool unquoted = delimiter_ == 0;
  std::string text = TextOf(value);
  bool keep = false;
  switch (attribute_) {
    case Attribute::kUrl:
      if (url_ == UrlPart::kStart && value.safety() != Safety::kUrl &&
          !HasSafeScheme(text)) {
        text = absl::StrCat("#", kUnsafe);
      }
      text = EncodeUrl(
          text, url_ != UrlPart::kQuery || value.safety() == Safety::kUrl);
      if (url_ == UrlPart::kStart && !text.empty()) url_ = UrlPart::kPath;
      break;
    case Attribute::kStyle:
      text = StyleValue(text);
      break;
    case Attribute::kScript:
      text = script_quote_ == 0 ? ScriptValue(value) : InsideScriptString(text);
      break;
    case Attribute::kPlain:
      if (value.safety() == Safety::kHtml) {
        text = StripTags(text);
        keep = true;
      }
      break;
  }
  // An attribute without quotes must not become empty.
  if (unquoted && text.empty()) return std::string(kUnsafe);
  return Replace(text, keep, unquoted);
}

void HtmlWriter::WriteValue(const Value& value) {
  switch (state_) {
    case State::kText:
      out_ += value.safety() == Safety::kHtml
                  ? value.string_value()
                  : Replace(TextOf(value), false, false);
      return;
    case State::kRaw:
      out_ += RawText(value);
      return;
    case State::kBeforeValue:
      BeginValue('\0');
      out_ += AttributeText(value);
      return;
    case State::kAttribute:
      out_ += AttributeText(value);
      return;
    case State::kComment:
      return;
    case State::kTagOpen:
      // A value never makes a tag of the "<" before it.
      out_.pop_back();
      out_ += "&lt;";
      state_ = State::kText;
      WriteValue(value);
      return;
    default:
      WriteName(TextOf(value));
  }
}

void HtmlWriter::WriteName(const std::string& text) {
  const std::string name = absl::AsciiStrToLower(text);
  // Only names that begin or end nothing and whose value is plain text.
  const bool plain = std::all_of(name.begin(), name.end(), IsAlnum) &&
                     !absl::StartsWith(name, "on") && name != "style" &&
                     !IsUrlAttribute(name);
  absl::StrAppend(&out_, plain ? absl::string_view(text) : kUnsafe);
  for (const char c : text) {
    if (plain) Follow(c);
  }
}

}  // namespace narthex::tmpl::internal
