#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace narthex::base {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
enum class LogFormat { kLogfmt, kJson };

/// Accepts "debug", "info", "warn", "error". kInvalidArgument otherwise.
absl::StatusOr<LogLevel> ParseLogLevel(absl::string_view text);
/// Accepts "logfmt", "json". kInvalidArgument otherwise.
absl::StatusOr<LogFormat> ParseLogFormat(absl::string_view text);

/// One key of a log line with its value; the value may be text or a number.
struct LogField {
  LogField(absl::string_view k, const absl::AlphaNum& v)
      : key(k), value(v.Piece()) {}
  absl::string_view key;
  std::string value;
};

/// Writes one event per line: time, level, msg and fields, as logfmt or JSON.
/// Messages are lower-case and constant; what varies goes into fields.
///   log.Warn("scrape failed", {{"job", job}, {"err", status.ToString()}});
/// Thread-safe. Copies share the sink; With() adds fixed fields.
class Logger {
 public:
  /// Writes to standard error.
  static Logger Stderr(LogLevel level, LogFormat format);
  /// Drops everything: for tests.
  static Logger Discard();
  /// Appends every line to `*lines`, which must outlive the logger and its
  /// copies and is not locked: for tests.
  static Logger ToString(std::string* lines);

  using Fields = std::initializer_list<LogField>;

  void Debug(absl::string_view msg, Fields fields = {}) const;
  void Info(absl::string_view msg, Fields fields = {}) const;
  void Warn(absl::string_view msg, Fields fields = {}) const;
  void Error(absl::string_view msg, Fields fields = {}) const;
  void Write(LogLevel level, absl::string_view msg, Fields fields) const;

  /// A logger whose every line also carries `fields`.
  Logger With(Fields fields) const;

 private:
  struct Sink;
  explicit Logger(std::shared_ptr<Sink> sink) : sink_(std::move(sink)) {}

  std::shared_ptr<Sink> sink_;
  // Already rendered in the sink's format.
  std::string context_;
};

}  // namespace narthex::base
