#include "libs/tmpl/internal/lexer.h"

#include <cctype>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/quote.h"

namespace narthex::tmpl::internal {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool IsWord(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return c == '_' || byte >= 0x80 || std::isalnum(byte) != 0;
}

struct CodePoint {
  std::uint32_t value = 0xFFFD;
  std::size_t size = 1;
};

CodePoint DecodeAt(absl::string_view text, std::size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) return {first, 1};
  const std::size_t size = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  const absl::string_view sequence = text.substr(at, size);
  if (sequence.size() < size || !base::IsValidUtf8(sequence)) return {};
  std::uint32_t value = first & (0xFFU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    value = value << 6 | (static_cast<unsigned char>(sequence[i]) & 0x3FU);
  }
  return {value, size};
}

// Characters beyond ASCII that are plainly no letters: control, spaces and
// punctuation of the Latin-1 and general punctuation blocks.
bool IsForeignMark(std::uint32_t c) {
  return (c >= 0x80 && c < 0xAA) || (c >= 0xAB && c < 0xB5) ||
         (c >= 0xB6 && c < 0xBA) || (c >= 0xBB && c < 0xC0) || c == 0xD7 ||
         c == 0xF7 || (c >= 0x2000 && c < 0x2070) || c == 0x3000 ||
         c == 0xFFFD || c == 0xFEFF;
}

class Lexer {
 public:
  explicit Lexer(absl::string_view text) : text_(text) {}

  std::vector<Token> Run() {
    while (!done_) {
      if (!Text()) break;
      if (!Action()) break;
    }
    return std::move(tokens_);
  }

 private:
  char Peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool AtEnd() const { return at_ >= text_.size(); }
  bool LooksAt(absl::string_view prefix) const {
    return absl::StartsWith(text_.substr(at_), prefix);
  }

  bool Add(TokenKind kind, std::size_t start) {
    tokens_.push_back(
        {kind, start, std::string(text_.substr(start, at_ - start))});
    return true;
  }

  bool Fail(std::size_t position, std::string reason) {
    tokens_.push_back({TokenKind::kError, position, std::move(reason)});
    done_ = true;
    return false;
  }

  // Text up to the next action; false at the end.
  bool Text() {
    const std::size_t open = std::min(text_.find("{{", at_), text_.size());
    std::size_t start = at_;
    std::size_t end = open;
    if (trim_next_) {
      while (start < end && IsSpace(text_[start])) ++start;
      trim_next_ = false;
    }
    const bool trims = open + 3 < text_.size() && text_[open + 2] == '-' &&
                       IsSpace(text_[open + 3]);
    if (trims) {
      while (end > start && IsSpace(text_[end - 1])) --end;
    }
    if (end > start) {
      tokens_.push_back({TokenKind::kText, start,
                         std::string(text_.substr(start, end - start))});
    }
    at_ = open;
    if (AtEnd()) {
      tokens_.push_back({TokenKind::kEnd, at_, ""});
      return false;
    }
    open_ = open;
    at_ += trims ? 3 : 2;
    return true;
  }

  bool Action() {
    const std::size_t inside = at_;
    while (IsSpace(Peek()) && text_[open_ + 2] == '-') ++at_;
    if (LooksAt("/*")) return Comment();
    at_ = inside;
    tokens_.push_back({TokenKind::kOpen, open_, "{{"});
    parens_ = 0;
    while (true) {
      bool closed = false;
      if (Closes(&closed)) return closed;
      if (!Inside()) return false;
    }
  }

  bool Comment() {
    const std::size_t end = text_.find("*/", at_ + 2);
    if (end == absl::string_view::npos) {
      return Fail(open_, "unclosed comment");
    }
    at_ = end + 2;
    if (LooksAt("}}")) {
      at_ += 2;
      return true;
    }
    if (IsSpace(Peek()) && text_.substr(at_ + 1, 3) == "-}}") {
      at_ += 4;
      trim_next_ = true;
      return true;
    }
    return Fail(at_, "comment ends before closing delimiter");
  }

  // Handles a closing delimiter, if it is here; `*ok` tells whether it may be.
  bool Closes(bool* ok) {
    const bool trims = IsSpace(Peek()) && text_.substr(at_ + 1, 3) == "-}}";
    if (!trims && !LooksAt("}}")) return false;
    *ok = parens_ == 0 || Fail(at_, "unclosed left paren");
    if (!*ok) return true;
    if (trims) {
      trim_next_ = true;
      at_ += 2;
    }
    const std::size_t start = at_;
    at_ += 2;
    return Add(TokenKind::kClose, start);
  }

  bool Inside() {
    if (AtEnd()) return Fail(at_, "unclosed action");
    const std::size_t start = at_;
    const char c = Peek();
    if (IsSpace(c)) return Space();
    switch (c) {
      case '=':
        ++at_;
        return Add(TokenKind::kAssign, start);
      case ':':
        if (Peek(1) != '=') return Fail(start, "expected :=");
        at_ += 2;
        return Add(TokenKind::kDeclare, start);
      case '|':
        ++at_;
        return Add(TokenKind::kPipe, start);
      case ',':
        ++at_;
        return Add(TokenKind::kComma, start);
      case '(':
        ++at_;
        ++parens_;
        return Add(TokenKind::kLeftParen, start);
      case ')':
        if (parens_-- == 0) return Fail(start, "unexpected right paren");
        ++at_;
        return Add(TokenKind::kRightParen, start);
      case '"':
      case '\'':
        return Quoted(c);
      case '`':
        return Raw();
      case '$':
        ++at_;
        return Word(TokenKind::kVariable, start);
      case '.':
        if (std::isdigit(static_cast<unsigned char>(Peek(1))) != 0) {
          return Number();
        }
        ++at_;
        if (!IsWord(Peek())) return Add(TokenKind::kDot, start);
        return Word(TokenKind::kField, start);
      default:
        break;
    }
    if (c == '+' || c == '-' ||
        std::isdigit(static_cast<unsigned char>(c)) != 0) {
      return Number();
    }
    if (IsWord(c) && !IsForeignMark(DecodeAt(text_, at_).value)) {
      return Word(TokenKind::kIdentifier, start);
    }
    return Fail(start, absl::StrFormat("unrecognized character in action: "
                                       "U+%04X",
                                       DecodeAt(text_, at_).value));
  }

  bool Space() {
    const std::size_t start = at_;
    // A space may belong to " -}}".
    while (IsSpace(Peek()) && text_.substr(at_ + 1, 3) != "-}}") ++at_;
    return at_ == start || Add(TokenKind::kSpace, start);
  }

  bool Quoted(char quote) {
    const std::size_t start = at_++;
    while (!AtEnd() && Peek() != quote && Peek() != '\n') {
      at_ += Peek() == '\\' ? 2 : 1;
    }
    if (AtEnd() || Peek() == '\n') {
      return Fail(start, quote == '"' ? "unterminated quoted string"
                                      : "unterminated character constant");
    }
    ++at_;
    return Add(quote == '"' ? TokenKind::kString : TokenKind::kChar, start);
  }

  bool Raw() {
    const std::size_t start = at_;
    const std::size_t end = text_.find('`', at_ + 1);
    if (end == absl::string_view::npos) {
      return Fail(start, "unterminated raw quoted string");
    }
    at_ = end + 1;
    return Add(TokenKind::kString, start);
  }

  bool Number() {
    const std::size_t start = at_;
    if (Peek() == '+' || Peek() == '-') ++at_;
    while (IsWord(Peek()) || Peek() == '.' ||
           ((Peek() == '+' || Peek() == '-') && IsExponent(at_ - 1))) {
      ++at_;
    }
    return Add(TokenKind::kNumber, start);
  }

  bool IsExponent(std::size_t at) const {
    const char c = text_[at];
    return c == 'e' || c == 'E' || c == 'p' || c == 'P';
  }

  bool Word(TokenKind kind, std::size_t start) {
    while (IsWord(Peek())) {
      const CodePoint point = DecodeAt(text_, at_);
      if (IsForeignMark(point.value)) break;
      at_ += point.size;
    }
    const char c = Peek();
    const bool ends = AtEnd() || IsSpace(c) || c == '.' || c == ',' ||
                      c == '|' || c == ':' || c == ')' || c == '(' ||
                      LooksAt("}}");
    if (!ends) {
      return Fail(at_, absl::StrFormat("bad character U+%04X",
                                       DecodeAt(text_, at_).value));
    }
    return Add(kind, start);
  }

  absl::string_view text_;
  std::size_t at_ = 0;
  std::size_t open_ = 0;  // Of the current action.
  int parens_ = 0;
  bool trim_next_ = false;
  bool done_ = false;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> Lex(absl::string_view text) { return Lexer(text).Run(); }

}  // namespace narthex::tmpl::internal
