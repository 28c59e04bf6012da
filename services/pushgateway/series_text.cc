#include "services/pushgateway/series_text.h"

#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/model/labels.h"

namespace narthex::pushgateway {

namespace {

// Walks over the text of a series.
class Cursor {
 public:
  explicit Cursor(absl::string_view text) : text_(text) {}

  bool AtEnd() {
    SkipBlanks();
    return position_ == text_.size();
  }
  bool Take(char c) {
    SkipBlanks();
    if (position_ == text_.size() || text_[position_] != c) return false;
    ++position_;
    return true;
  }
  bool AtQuote() {
    SkipBlanks();
    return position_ < text_.size() && text_[position_] == '"';
  }
  absl::string_view TakeWord() {
    SkipBlanks();
    const std::size_t begin = position_;
    while (position_ < text_.size() && !IsDelimiter(text_[position_])) {
      ++position_;
    }
    return text_.substr(begin, position_ - begin);
  }
  // The content of a quoted text, escapes undone. False when it has no end.
  bool TakeQuoted(std::string* out) {
    out->clear();
    if (!Take('"')) return false;
    while (position_ < text_.size()) {
      const char c = text_[position_++];
      if (c == '"') return true;
      if (c != '\\' || position_ == text_.size()) {
        out->push_back(c);
        continue;
      }
      const char escaped = text_[position_++];
      if (escaped == 'n') {
        out->push_back('\n');
      } else if (escaped == '"' || escaped == '\\') {
        out->push_back(escaped);
      } else {
        return false;
      }
    }
    return false;
  }

 private:
  static bool IsDelimiter(char c) {
    return c == '{' || c == '}' || c == '=' || c == ',' || c == '"' ||
           c == ' ' || c == '\t' || c == '\n';
  }
  void SkipBlanks() {
    while (position_ < text_.size() &&
           (text_[position_] == ' ' || text_[position_] == '\t')) {
      ++position_;
    }
  }

  absl::string_view text_;
  std::size_t position_ = 0;
};

absl::Status Malformed(absl::string_view reason, absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat(reason, " in series ", base::Quote(text)));
}

// One label, or the quoted metric name, at the cursor.
absl::Status TakeLabel(Cursor& cursor, absl::string_view text,
                       SeriesText* series) {
  const bool quoted = cursor.AtQuote();
  std::string name;
  if (quoted) {
    if (!cursor.TakeQuoted(&name)) return Malformed("unclosed quote", text);
  } else {
    name = std::string(cursor.TakeWord());
  }
  if (!cursor.Take('=')) {
    if (!quoted || !series->name.empty()) {
      return Malformed("expected '=' after label name", text);
    }
    series->name = std::move(name);
    return absl::OkStatus();
  }
  if (!quoted && !model::IsLegacyLabelName(name)) {
    return Malformed(absl::StrCat("invalid label name ", base::Quote(name)),
                     text);
  }
  std::string value;
  if (!cursor.AtQuote()) {
    return Malformed("expected '\"' at start of label value", text);
  }
  if (!cursor.TakeQuoted(&value)) {
    return Malformed("malformed label value", text);
  }
  if (!base::IsValidUtf8(value)) {
    return Malformed("label value is not valid UTF-8", text);
  }
  series->labels.emplace_back(std::move(name), std::move(value));
  return absl::OkStatus();
}

}  // namespace

absl::Status ParseSeries(absl::string_view text, SeriesText* series) {
  series->labels.clear();
  Cursor cursor(text);
  const auto name = cursor.TakeWord();
  series->name.assign(name.data(), name.size());
  if (cursor.Take('{')) {
    while (!cursor.Take('}')) {
      if (cursor.AtEnd()) return Malformed("missing '}'", text);
      NARTHEX_RETURN_IF_ERROR(TakeLabel(cursor, text, series));
      if (cursor.Take(',')) continue;
      if (cursor.Take('}')) break;
      return Malformed("unexpected end of label value", text);
    }
  }
  if (!cursor.AtEnd()) return Malformed("text after labels", text);
  if (series->name.empty()) return Malformed("missing metric name", text);
  return absl::OkStatus();
}

void AppendEscapedValue(absl::string_view text, std::string* out) {
  for (const char c : text) {
    if (c == '\\') {
      *out += "\\\\";
    } else if (c == '\n') {
      *out += "\\n";
    } else if (c == '"') {
      *out += "\\\"";
    } else {
      out->push_back(c);
    }
  }
}

void AppendName(absl::string_view name, bool legacy, std::string* out) {
  if (legacy) {
    out->append(name.data(), name.size());
    return;
  }
  out->push_back('"');
  AppendEscapedValue(name, out);
  out->push_back('"');
}

void AppendLabels(const LabelPairs& labels, std::string* out) {
  bool first = true;
  for (const auto& [name, value] : labels) {
    if (!first) out->push_back(',');
    first = false;
    AppendName(name, model::IsLegacyLabelName(name), out);
    *out += "=\"";
    AppendEscapedValue(value, out);
    out->push_back('"');
  }
}

LabelPairs SplitLabels(absl::string_view text) {
  LabelPairs labels;
  Cursor cursor(text);
  while (!cursor.AtEnd()) {
    std::string name;
    std::string value;
    if (cursor.AtQuote()) {
      cursor.TakeQuoted(&name);
    } else {
      name = std::string(cursor.TakeWord());
    }
    if (!cursor.Take('=') || !cursor.TakeQuoted(&value)) break;
    labels.emplace_back(std::move(name), std::move(value));
    cursor.Take(',');
  }
  return labels;
}

}  // namespace narthex::pushgateway
