#include <cstdint>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "libs/base/status.h"
#include "libs/promql/eval_nodes.h"

namespace narthex::promql {
namespace {

constexpr std::uint64_t kSecondsPerDay = 86400;
/// From the first day of the year -292277022399, where Go begins to count.
constexpr std::uint64_t kDaysBefore1970 = 106'751'991'073'094;

/// A moment in UTC, in the proleptic Gregorian calendar.
struct CivilTime {
  std::int64_t year = 0;
  int month = 0;          // 1 to 12.
  int day = 0;            // Of the month, from 1.
  std::int64_t days = 0;  // Since 1970-01-01.
  std::int64_t second_of_day = 0;
};

std::int64_t FloorDivide(std::int64_t a, std::int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}

/// Days since 1970-01-01 of a date. Counts years from March, so that the leap
/// day is a year's last and months follow a regular pattern of 153 days in
/// five.
std::int64_t DaysOf(std::int64_t year, int month, int day) {
  if (month <= 2) --year;
  const std::int64_t era = FloorDivide(year, 400);
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t month_from_march = (month + 9) % 12;
  const std::int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
  const std::int64_t day_of_era =
      year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

CivilTime CivilOf(std::int64_t unix_seconds) {
  // Counted from a day long before, without a sign: as in Go, the seconds
  // before that day wrap around to the far future.
  const std::uint64_t seconds = static_cast<std::uint64_t>(unix_seconds) +
                                kDaysBefore1970 * kSecondsPerDay;
  CivilTime civil;
  civil.days = static_cast<std::int64_t>(seconds / kSecondsPerDay) -
               static_cast<std::int64_t>(kDaysBefore1970);
  civil.second_of_day = static_cast<std::int64_t>(seconds % kSecondsPerDay);
  const std::int64_t shifted = civil.days + 719468;
  const std::int64_t era = FloorDivide(shifted, 146097);
  const std::int64_t day_of_era = shifted - era * 146097;
  const std::int64_t year_of_era = (day_of_era - day_of_era / 1460 +
                                    day_of_era / 36524 - day_of_era / 146096) /
                                   365;
  const std::int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month_from_march = (5 * day_of_year + 2) / 153;
  civil.day =
      static_cast<int>(day_of_year - (153 * month_from_march + 2) / 5 + 1);
  civil.month = static_cast<int>(month_from_march < 10 ? month_from_march + 3
                                                       : month_from_march - 9);
  civil.year = year_of_era + era * 400 + (civil.month <= 2 ? 1 : 0);
  return civil;
}

double Minute(const CivilTime& t) {
  return static_cast<double>(t.second_of_day / 60 % 60);
}
double Hour(const CivilTime& t) {
  const auto hour = t.second_of_day / 3600;
  return static_cast<double>(hour);
}
double DayOfMonth(const CivilTime& t) { return t.day; }
double Month(const CivilTime& t) { return t.month; }
double Year(const CivilTime& t) { return static_cast<double>(t.year); }
double DayOfWeek(const CivilTime& t) {
  // 1970-01-01 was a Thursday, day 4.
  return static_cast<double>(t.days + 4 - FloorDivide(t.days + 4, 7) * 7);
}
double DayOfYear(const CivilTime& t) {
  return static_cast<double>(t.days - DaysOf(t.year, 1, 1) + 1);
}
double DaysInMonth(const CivilTime& t) {
  const bool december = t.month == 12;
  const std::int64_t next =
      DaysOf(t.year + (december ? 1 : 0), december ? 1 : t.month + 1, 1);
  return static_cast<double>(next - DaysOf(t.year, t.month, 1));
}

/// Whole seconds; what does not fit becomes the smallest integer, as the usual
/// processors convert.
std::int64_t ToSeconds(double value) {
  constexpr double kLimit = 9223372036854775808.0;
  if (value >= -kLimit && value < kLimit) {
    return static_cast<std::int64_t>(value);
  }
  return std::numeric_limits<std::int64_t>::min();
}

template <double (*kPart)(const CivilTime&)>
absl::Status PartOf(Evaluation& evaluation, const Call& call,
                    const StepGrid& grid, ColumnSink sink) {
  if (call.args.empty()) {
    Column column;
    column.values.resize(grid.count);
    for (std::size_t i = 0; i < grid.count; ++i) {
      column.values[i] = kPart(CivilOf(grid.At(i) / 1000));
    }
    return sink(column);
  }
  const Expr& vector = *call.args[0];
  NameDropper dropper(evaluation, vector, NameDropper::Repeats::kMerge, sink);
  NARTHEX_RETURN_IF_ERROR(evaluation.Vector(vector, grid, [&](Column& column) {
    if (!DropHistograms(&column)) return absl::OkStatus();
    for (double& value : column.values) {
      if (IsPresent(value)) value = kPart(CivilOf(ToSeconds(value)));
    }
    return dropper.Add(column);
  }));
  return dropper.Finish();
}

/// timestamp() of anything but a plain selector: the time of evaluation.
absl::Status Timestamp(Evaluation& evaluation, const Call& call,
                       const StepGrid& grid, ColumnSink sink) {
  const Expr& vector = *call.args[0];
  NameDropper dropper(evaluation, vector, NameDropper::Repeats::kMerge, sink);
  NARTHEX_RETURN_IF_ERROR(evaluation.Vector(vector, grid, [&](Column& column) {
    for (std::size_t i = 0; i < grid.count; ++i) {
      if (!column.Has(i)) continue;
      column.values[i] = static_cast<double>(grid.At(i)) / 1000;
    }
    column.histograms.clear();
    return dropper.Add(column);
  }));
  return dropper.Finish();
}

/// start_timestamp() of anything but a plain selector: computed values have no
/// start. The argument is still evaluated for its errors.
absl::Status StartTimestamp(Evaluation& evaluation, const Call& call,
                            const StepGrid& grid, ColumnSink) {
  return evaluation.Vector(*call.args[0], grid,
                           [](Column&) { return absl::OkStatus(); });
}

using Table = absl::flat_hash_map<absl::string_view, VectorFunction>;

}  // namespace

VectorFunction FindTimeFunction(absl::string_view name) {
  static const Table* const kTable = new Table{
      {"minute", PartOf<Minute>},
      {"hour", PartOf<Hour>},
      {"day_of_week", PartOf<DayOfWeek>},
      {"day_of_month", PartOf<DayOfMonth>},
      {"day_of_year", PartOf<DayOfYear>},
      {"days_in_month", PartOf<DaysInMonth>},
      {"month", PartOf<Month>},
      {"year", PartOf<Year>},
      {"timestamp", Timestamp},
      {"start_timestamp", StartTimestamp},
  };
  const auto it = kTable->find(name);
  return it == kTable->end() ? nullptr : it->second;
}

}  // namespace narthex::promql
