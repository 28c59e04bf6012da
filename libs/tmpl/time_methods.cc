#include <cstdlib>
#include <limits>

#include "libs/base/duration.h"
#include "libs/tmpl/go_time.h"

namespace narthex::tmpl {
namespace {

const Time& Receiver(absl::Span<const Value> args) {
  return args[0].time_value();
}

Function CivilMethod(int (*get)(absl::CivilSecond)) {
  return {"t", [get](absl::Span<const Value> args) {
            const Time& time = Receiver(args);
            return Value::Int(get(time.zone.At(time.at).cs));
          }};
}

Function NameMethod(absl::string_view layout) {
  return {"t", [layout](absl::Span<const Value> args) {
            return Value::String(FormatTime(Receiver(args), layout));
          }};
}

Function UnixMethod(std::int64_t (*get)(absl::Time)) {
  return {"t", [get](absl::Span<const Value> args) {
            return Value::Int(get(Receiver(args).at));
          }};
}

Function CompareMethod(bool (*holds)(absl::Time, absl::Time)) {
  return {
      "tt", [holds](absl::Span<const Value> args) {
        return Value::Bool(holds(Receiver(args).at, args[1].time_value().at));
      }};
}

Function SecondsMethod(double unit_ns) {
  return {"d", [unit_ns](absl::Span<const Value> args) {
            return Value::Float(static_cast<double>(args[0].duration_ns()) /
                                unit_ns);
          }};
}

Function CountMethod(std::int64_t unit_ns) {
  return {"d", [unit_ns](absl::Span<const Value> args) {
            return Value::Int(args[0].duration_ns() / unit_ns);
          }};
}

absl::StatusOr<Value> Truncate(absl::Span<const Value> args) {
  const std::int64_t ns = args[0].duration_ns();
  const std::int64_t unit = args[1].duration_ns();
  return Value::Duration(unit <= 0 ? ns : ns - ns % unit);
}

absl::StatusOr<Value> Round(absl::Span<const Value> args) {
  const std::int64_t ns = args[0].duration_ns();
  const std::int64_t unit = args[1].duration_ns();
  if (unit <= 0) return Value::Duration(ns);
  const std::int64_t rest = ns % unit;
  const std::int64_t down = ns - rest;
  if (std::abs(rest) < unit - std::abs(rest)) return Value::Duration(down);
  return Value::Duration(ns < 0 ? down - unit : down + unit);
}

absl::StatusOr<Value> AddDate(absl::Span<const Value> args) {
  const Time& time = Receiver(args);
  const auto info = time.zone.At(time.at);
  const absl::CivilSecond cs = info.cs;
  const absl::CivilSecond moved(
      cs.year() + args[1].int_value(), cs.month() + args[2].int_value(),
      cs.day() + args[3].int_value(), cs.hour(), cs.minute(), cs.second());
  return Value::OfTime(
      {absl::FromCivil(moved, time.zone) + info.subsecond, time.zone});
}

}  // namespace

const FuncMap& TimeMethods() {
  static const FuncMap methods = {
      {"Format",
       {"ts",
        [](absl::Span<const Value> args) {
          return Value::String(
              FormatTime(Receiver(args), args[1].string_value()));
        }}},
      {"String", NameMethod("2006-01-02 15:04:05.999999999 -0700 MST")},
      {"Month", NameMethod("January")},
      {"Weekday", NameMethod("Monday")},
      {"Unix", UnixMethod(absl::ToUnixSeconds)},
      {"UnixMilli", UnixMethod(absl::ToUnixMillis)},
      {"UnixMicro", UnixMethod(absl::ToUnixMicros)},
      {"UnixNano", UnixMethod(absl::ToUnixNanos)},
      {"Year", CivilMethod([](absl::CivilSecond cs) {
         return static_cast<int>(cs.year());
       })},
      {"Day", CivilMethod([](absl::CivilSecond cs) { return cs.day(); })},
      {"Hour", CivilMethod([](absl::CivilSecond cs) { return cs.hour(); })},
      {"Minute", CivilMethod([](absl::CivilSecond cs) { return cs.minute(); })},
      {"Second", CivilMethod([](absl::CivilSecond cs) { return cs.second(); })},
      {"YearDay", CivilMethod([](absl::CivilSecond cs) {
         return absl::GetYearDay(absl::CivilDay(cs));
       })},
      {"After",
       CompareMethod([](absl::Time a, absl::Time b) { return a > b; })},
      {"Before",
       CompareMethod([](absl::Time a, absl::Time b) { return a < b; })},
      {"Equal",
       CompareMethod([](absl::Time a, absl::Time b) { return a == b; })},
      {"IsZero",
       {"t",
        [](absl::Span<const Value> args) {
          return Value::Bool(Receiver(args).at == ZeroTime().at);
        }}},
      {"Add",
       {"td",
        [](absl::Span<const Value> args) {
          Time time = Receiver(args);
          time.at += absl::Nanoseconds(args[1].duration_ns());
          return Value::OfTime(time);
        }}},
      {"Sub",
       {"tt",
        [](absl::Span<const Value> args) {
          return Value::Duration(absl::ToInt64Nanoseconds(
              Receiver(args).at - args[1].time_value().at));
        }}},
      {"AddDate", {"tiii", AddDate}},
      {"UTC",
       {"t",
        [](absl::Span<const Value> args) {
          return Value::OfTime({Receiver(args).at, absl::UTCTimeZone()});
        }}},
      {"Local",
       {"t",
        [](absl::Span<const Value> args) {
          return Value::OfTime({Receiver(args).at, absl::LocalTimeZone()});
        }}},
  };
  return methods;
}

const FuncMap& DurationMethods() {
  static const FuncMap methods = {
      {"String",
       {"d",
        [](absl::Span<const Value> args) {
          return Value::String(base::FormatGoDuration(args[0].duration_ns()));
        }}},
      {"Hours", SecondsMethod(3600e9)},
      {"Minutes", SecondsMethod(60e9)},
      {"Seconds", SecondsMethod(1e9)},
      {"Milliseconds", CountMethod(1000000)},
      {"Microseconds", CountMethod(1000)},
      {"Nanoseconds", CountMethod(1)},
      {"Truncate", {"dd", Truncate}},
      {"Round", {"dd", Round}},
      {"Abs",
       {"d",
        [](absl::Span<const Value> args) {
          const std::int64_t ns = args[0].duration_ns();
          // The smallest has no positive counterpart.
          if (ns == std::numeric_limits<std::int64_t>::min()) {
            return Value::Duration(std::numeric_limits<std::int64_t>::max());
          }
          return Value::Duration(std::abs(ns));
        }}},
  };
  return methods;
}

}  // namespace narthex::tmpl
