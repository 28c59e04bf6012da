#include "services/pushgateway/body_shape.h"

#include "libs/base/float_format.h"
#include "libs/base/hash.h"

namespace narthex::pushgateway {

namespace {

// Up to this many digits a number is exact in a double without further ado.
constexpr std::size_t kPlainDigits = 15;

bool ParseValue(absl::string_view text, double* value) {
  if (!text.empty() && text.size() <= kPlainDigits) {
    std::int64_t number = 0;
    bool plain = true;
    for (const char c : text) {
      plain &= c >= '0' && c <= '9';
      number = number * 10 + (c - '0');
    }
    if (plain) {
      *value = static_cast<double>(number);
      return true;
    }
  }
  // Where the text format and Go's numbers part ways, the parser decides.
  if (text.find_first_of("xX_") != absl::string_view::npos) return false;
  const auto parsed = base::ParseFloat(text);
  if (!parsed.ok() || *parsed != *parsed) return false;
  *value = *parsed;
  return true;
}

}  // namespace

BodyShape::BodyShape(absl::string_view body, const ValuePlaces& places)
    : targets_(places.targets) {
  std::size_t position = 0;
  value_positions_.reserve(places.spans.size());
  for (const ValuePlaces::Span& span : places.spans) {
    text_.append(body.data() + position, span.begin - position);
    value_positions_.push_back(static_cast<std::uint32_t>(text_.size()));
    position = span.end;
  }
  text_.append(body.data() + position, body.size() - position);
  text_.shrink_to_fit();
}

bool BodyShape::Match(absl::string_view body,
                      std::vector<double>* values) const {
  values->clear();
  values->reserve(value_positions_.size());
  std::size_t done = 0;
  for (const std::uint32_t position : value_positions_) {
    const std::size_t size = position - done;
    if (body.size() < size ||
        body.substr(0, size) != absl::string_view(text_).substr(done, size)) {
      return false;
    }
    body.remove_prefix(size);
    std::size_t end = 0;
    while (end < body.size() && body[end] != '\n' && body[end] != ' ' &&
           body[end] != '\t') {
      ++end;
    }
    double value = 0;
    if (!ParseValue(body.substr(0, end), &value)) return false;
    values->push_back(value);
    body.remove_prefix(end);
    done = position;
  }
  return body == absl::string_view(text_).substr(done);
}

std::uint64_t BodyShape::Hash() const { return base::XxHash64(text_); }

}  // namespace narthex::pushgateway
