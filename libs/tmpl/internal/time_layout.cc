#include "libs/tmpl/internal/time_layout.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace narthex::tmpl::internal {
namespace {

struct ElementText {
  absl::string_view text;
  Element element;
};

// The longer of two texts with a common beginning comes first.
constexpr std::array<ElementText, 33> kElements = {{
    {"January", Element::kLongMonth},
    {"Jan", Element::kMonth},
    {"Monday", Element::kLongWeekday},
    {"Mon", Element::kWeekday},
    {"MST", Element::kZoneName},
    {"002", Element::kZeroYearDay},
    {"01", Element::kZeroMonth},
    {"02", Element::kZeroDay},
    {"03", Element::kZeroHour12},
    {"04", Element::kZeroMinute},
    {"05", Element::kZeroSecond},
    {"06", Element::kYear},
    {"15", Element::kHour},
    {"1", Element::kNumMonth},
    {"2006", Element::kLongYear},
    {"2", Element::kDay},
    {"__2", Element::kUnderYearDay},
    {"_2", Element::kUnderDay},
    {"3", Element::kHour12},
    {"4", Element::kMinute},
    {"5", Element::kSecond},
    {"PM", Element::kUpperPm},
    {"pm", Element::kLowerPm},
    {"-070000", Element::kOffset},
    {"-07:00:00", Element::kOffset},
    {"-0700", Element::kOffset},
    {"-07:00", Element::kOffset},
    {"-07", Element::kOffset},
    {"Z070000", Element::kOffset},
    {"Z07:00:00", Element::kOffset},
    {"Z0700", Element::kOffset},
    {"Z07:00", Element::kOffset},
    {"Z07", Element::kOffset},
}};

Piece FractionAt(absl::string_view layout, std::size_t at) {
  std::size_t end = at + 1;
  if (end >= layout.size() || (layout[end] != '0' && layout[end] != '9')) {
    return {};
  }
  const char digit = layout[end];
  while (end < layout.size() && layout[end] == digit) ++end;
  if (end < layout.size() && absl::ascii_isdigit(layout[end])) return {};
  return {layout.substr(0, at), layout.substr(at, end - at),
          digit == '0' ? Element::kFractionZeros : Element::kFractionNines};
}

Piece ElementAt(absl::string_view layout, std::size_t at) {
  const absl::string_view rest = layout.substr(at);
  if (rest[0] == '.' || rest[0] == ',') return FractionAt(layout, at);
  for (const ElementText& known : kElements) {
    if (!absl::StartsWith(rest, known.text)) continue;
    const std::size_t size = known.text.size();
    const bool word = known.text == "Jan" || known.text == "Mon";
    if (word && rest.size() > size && absl::ascii_islower(rest[size])) {
      continue;
    }
    // "_2006" is an underscore and a year.
    if (known.text == "_2" && absl::StartsWith(rest, "_2006")) {
      return {layout.substr(0, at + 1), rest.substr(1, 4), Element::kLongYear};
    }
    return {layout.substr(0, at), rest.substr(0, size), known.element};
  }
  return {};
}

}  // namespace

Piece NextPiece(absl::string_view* layout) {
  for (std::size_t at = 0; at < layout->size(); ++at) {
    Piece piece = ElementAt(*layout, at);
    if (piece.element == Element::kNone) continue;
    layout->remove_prefix(piece.literal.size() + piece.text.size());
    return piece;
  }
  Piece rest{*layout, {}, Element::kNone};
  *layout = {};
  return rest;
}

}  // namespace narthex::tmpl::internal
