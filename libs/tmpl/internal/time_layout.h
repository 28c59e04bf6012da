#pragma once

#include <array>

#include "absl/strings/string_view.h"

/// Go's time layouts, which show how the reference time would be written.
namespace narthex::tmpl::internal {

inline constexpr std::array<absl::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};
inline constexpr std::array<absl::string_view, 7> kDays = {
    "Monday", "Tuesday",  "Wednesday", "Thursday",
    "Friday", "Saturday", "Sunday"};

/// A part of a time that a layout can name.
enum class Element {
  kNone,
  kLongMonth,
  kMonth,
  kNumMonth,
  kZeroMonth,
  kLongWeekday,
  kWeekday,
  kDay,
  kUnderDay,
  kZeroDay,
  kUnderYearDay,
  kZeroYearDay,
  kHour,
  kHour12,
  kZeroHour12,
  kMinute,
  kZeroMinute,
  kSecond,
  kZeroSecond,
  kLongYear,
  kYear,
  kUpperPm,
  kLowerPm,
  kZoneName,
  kOffset,
  kFractionZeros,
  kFractionNines,
};

/// Some literal text and the element after it.
struct Piece {
  absl::string_view literal;  // Before the element.
  absl::string_view text;     // The element as the layout writes it.
  Element element = Element::kNone;
};

/// Cuts the text up to and including the next element from `*layout`.
Piece NextPiece(absl::string_view* layout);

}  // namespace narthex::tmpl::internal
