#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "libs/tmpl/value.h"

namespace narthex::tmpl::internal {

/// Writes a template's own text as it is and values escaped for the place
/// where they stand: text, attribute, URL, script, style. The place is known
/// by following the text, so every value is escaped for what is really around
/// it, whatever way the template took.
class HtmlWriter {
 public:
  explicit HtmlWriter(std::string* out) : out_(*out) {}

  void WriteText(absl::string_view text);
  void WriteValue(const Value& value);

 private:
  enum class State {
    kText,
    kTagOpen,  // After "<".
    kTagName,
    kTag,  // Between attributes.
    kAttributeName,
    kAfterName,
    kBeforeValue,
    kAttribute,
    kComment,
    kRaw,  // script, style, textarea or title, up to its end tag.
  };
  enum class Attribute { kPlain, kUrl, kStyle, kScript };
  enum class UrlPart { kStart, kPath, kQuery };

  void Follow(char c);
  void FollowTag(char c);
  void FollowAttribute(char c);
  void FollowRaw(char c);
  void BeginValue(char delimiter);
  void EndTag();

  /// The name of an element or attribute, as a value gives it.
  void WriteName(const std::string& text);
  std::string AttributeText(const Value& value);
  std::string RawText(const Value& value) const;

  std::string& out_;
  State state_ = State::kText;
  std::string element_;   // Of the current tag or raw text.
  bool closing_ = false;  // The tag began with "</".
  std::string name_;      // Of the current attribute.
  Attribute attribute_ = Attribute::kPlain;
  char delimiter_ = 0;  // Of the attribute's value; 0: none.
  UrlPart url_ = UrlPart::kStart;
  char script_quote_ = 0;  // Inside a string of a script; else 0.
  bool script_escape_ = false;
  std::string recent_;  // The last bytes, to see ends of raw text.
};

}  // namespace narthex::tmpl::internal
