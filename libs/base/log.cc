#include "libs/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace narthex::base {

struct Logger::Sink {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kLogfmt;
  std::shared_ptr<spdlog::logger> out;
  std::string* lines = nullptr;
};

namespace {

absl::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "info";
}

// Quotes as both logfmt readers and JSON understand it.
std::string Quoted(absl::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          absl::StrAppendFormat(&out, "\\u%04x", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
  return out;
}

bool NeedsQuotes(absl::string_view text) {
  if (text.empty()) return true;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' ||
        c == '\\' || c == 0x7f) {
      return true;
    }
  }
  return false;
}

void AppendField(LogFormat format, absl::string_view key,
                 absl::string_view value, std::string* line) {
  if (format == LogFormat::kJson) {
    absl::StrAppend(line, line->empty() ? "" : ",", Quoted(key), ":",
                    Quoted(value));
    return;
  }
  absl::StrAppend(line, line->empty() ? "" : " ", key, "=",
                  NeedsQuotes(value) ? Quoted(value) : std::string(value));
}

}  // namespace

absl::StatusOr<LogLevel> ParseLogLevel(absl::string_view text) {
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    if (text == LevelName(level)) return level;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown log level \"", text, "\": use debug, info, warn or error"));
}

absl::StatusOr<LogFormat> ParseLogFormat(absl::string_view text) {
  if (text == "logfmt") return LogFormat::kLogfmt;
  if (text == "json") return LogFormat::kJson;
  return absl::InvalidArgumentError(
      absl::StrCat("unknown log format \"", text, "\": use logfmt or json"));
}

Logger Logger::Stderr(LogLevel level, LogFormat format) {
  auto sink = std::make_shared<Sink>();
  sink->level = level;
  sink->format = format;
  sink->out = std::make_shared<spdlog::logger>(
      "narthex", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  sink->out->set_pattern("%v");
  sink->out->set_level(spdlog::level::trace);
  sink->out->flush_on(spdlog::level::trace);
  return Logger(std::move(sink));
}

Logger Logger::Discard() { return Logger(std::make_shared<Sink>()); }

Logger Logger::ToString(std::string* lines) {
  auto sink = std::make_shared<Sink>();
  sink->level = LogLevel::kDebug;
  sink->lines = lines;
  return Logger(std::move(sink));
}

void Logger::Debug(absl::string_view msg, Fields fields) const {
  Write(LogLevel::kDebug, msg, fields);
}
void Logger::Info(absl::string_view msg, Fields fields) const {
  Write(LogLevel::kInfo, msg, fields);
}
void Logger::Warn(absl::string_view msg, Fields fields) const {
  Write(LogLevel::kWarn, msg, fields);
}
void Logger::Error(absl::string_view msg, Fields fields) const {
  Write(LogLevel::kError, msg, fields);
}

void Logger::Write(LogLevel level, absl::string_view msg, Fields fields) const {
  if (level < sink_->level || (!sink_->out && !sink_->lines)) return;
  const LogFormat format = sink_->format;
  std::string line;
  AppendField(format, "time",
              absl::FormatTime("%Y-%m-%d%ET%H:%M:%E3SZ", absl::Now(),
                               absl::UTCTimeZone()),
              &line);
  AppendField(format, "level", LevelName(level), &line);
  AppendField(format, "msg", msg, &line);
  if (!context_.empty()) {
    absl::StrAppend(&line, format == LogFormat::kJson ? "," : " ", context_);
  }
  for (const LogField& field : fields) {
    AppendField(format, field.key, field.value, &line);
  }
  if (format == LogFormat::kJson) line = absl::StrCat("{", line, "}");
  if (sink_->lines) {
    absl::StrAppend(sink_->lines, line, "\n");
  } else {
    sink_->out->info(line);
  }
}

Logger Logger::With(Fields fields) const {
  Logger copy = *this;
  for (const LogField& field : fields) {
    AppendField(sink_->format, field.key, field.value, &copy.context_);
  }
  return copy;
}

}  // namespace narthex::base
