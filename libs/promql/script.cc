#include "libs/promql/script.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/duration.h"
#include "libs/base/float_format.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "re2/re2.h"

namespace narthex::promql {
namespace {

re2::StringPiece Piece(absl::string_view text) {
  return {text.data(), text.size()};
}

absl::StatusOr<double> ParseScalar(absl::string_view line) {
  std::int64_t integer = 0;
  if (re2::RE2::FullMatch(Piece(line), R"([-+]?0[xX]?[0-9a-fA-F]+)")) {
    integer = std::strtoll(std::string(line).c_str(), nullptr, 0);
    return static_cast<double>(integer);
  }
  return base::ParseFloat(line);
}

}  // namespace

bool TextExpectation::Matches(absl::string_view actual) const {
  switch (kind) {
    case Kind::kEqual:
      return actual == text;
    case Kind::kPattern:
      return re2::RE2::PartialMatch(Piece(actual), text);
    default:
      return true;
  }
}

/// Reads a script line by line.
class ScriptParser {
 public:
  explicit ScriptParser(absl::string_view text) {
    for (absl::string_view line : absl::StrSplit(text, '\n')) {
      line = absl::StripAsciiWhitespace(line);
      if (absl::StartsWith(line, "#")) line = "";
      lines_.emplace_back(line);
    }
  }

  absl::StatusOr<Script> Parse() {
    Script script;
    while (at_ < lines_.size()) {
      const std::string& line = lines_[at_];
      if (line.empty()) {
        ++at_;
        continue;
      }
      Script::Command command;
      absl::Status status;
      const std::size_t number = at_ + 1;
      command.line = number;
      if (absl::AsciiStrToLower(line) == "clear") {
        ++at_;
      } else if (absl::StartsWithIgnoreCase(line, "load")) {
        command.kind = Script::Command::Kind::kLoad;
        status = ParseLoad(&command.load);
      } else if (absl::StartsWithIgnoreCase(line, "eval")) {
        command.kind = Script::Command::Kind::kEval;
        status = ParseEval(&command.eval);
      } else {
        status = absl::InvalidArgumentError("unknown command");
      }
      if (!status.ok()) {
        return base::Annotate(status, absl::StrCat("line ", number));
      }
      script.commands_.push_back(std::move(command));
    }
    return script;
  }

 private:
  absl::Status ParseLoad(LoadCommand* load) {
    static const re2::RE2 kLoad(R"((?i)^load(?:_(with_nhcb))?\s+(.+?)$)");
    static const re2::RE2 kStarts(R"(^(\S+)@st(?:\s+(.*))?$)");
    std::string collate;
    std::string step;
    if (!re2::RE2::FullMatch(lines_[at_++], kLoad, &collate, &step)) {
      return absl::InvalidArgumentError("malformed load");
    }
    load->with_custom_buckets = !collate.empty();
    NARTHEX_ASSIGN_OR_RETURN(load->step_ms, base::ParseDuration(step));
    std::string started;
    StartOffsets starts;
    for (; at_ < lines_.size() && !lines_[at_].empty(); ++at_) {
      std::string offsets;
      if (re2::RE2::FullMatch(lines_[at_], kStarts, &started, &offsets)) {
        NARTHEX_ASSIGN_OR_RETURN(starts, ParseStartOffsets(offsets));
        continue;
      }
      LoadCommand::Series series;
      NARTHEX_ASSIGN_OR_RETURN(series.description,
                               ParseSeriesDescription(lines_[at_]));
      series.starts = std::exchange(starts, {});
      if (!series.starts.empty() &&
          series.starts.size() != series.description.values.size()) {
        return absl::InvalidArgumentError(absl::StrCat("start times of ",
                                                       started,
                                                       " and its values differ "
                                                       "in number"));
      }
      // Of one series written twice the later counts.
      std::erase_if(load->series, [&](const LoadCommand::Series& other) {
        return other.description.labels == series.description.labels;
      });
      load->series.push_back(std::move(series));
    }
    return absl::OkStatus();
  }

  absl::Status ParseEval(EvalCommand* eval) {
    NARTHEX_RETURN_IF_ERROR(ParseEvalLine(lines_[at_], eval));
    eval->line = ++at_;
    for (; at_ < lines_.size() && !lines_[at_].empty(); ++at_) {
      const std::string& line = lines_[at_];
      bool ends = false;
      if (absl::StartsWith(line, "expect") ||
          absl::StartsWith(line, "expected_fail")) {
        NARTHEX_RETURN_IF_ERROR(ParseExpectation(line, eval));
        continue;
      }
      if (const auto scalar = ParseScalar(line); scalar.ok()) {
        eval->scalar = *scalar;
        ends = true;
      } else {
        NARTHEX_ASSIGN_OR_RETURN(SeriesDescription series,
                                 ParseSeriesDescription(line));
        eval->series.push_back(std::move(series));
      }
      if (ends) {
        ++at_;
        break;
      }
    }
    return absl::OkStatus();
  }

  static absl::Status ParseEvalLine(const std::string& line,
                                    EvalCommand* eval) {
    static const re2::RE2 kInstant(
        R"(^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$)");
    static const re2::RE2 kRange(
        R"(^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$)");
    std::string mode;
    std::string start;
    std::string end;
    std::string step;
    if (re2::RE2::FullMatch(line, kInstant, &mode, &start, &eval->query)) {
      NARTHEX_ASSIGN_OR_RETURN(eval->start_ms, base::ParseDuration(start));
      eval->end_ms = eval->start_ms;
    } else if (re2::RE2::FullMatch(line, kRange, &mode, &start, &end, &step,
                                   &eval->query)) {
      eval->is_range = true;
      NARTHEX_ASSIGN_OR_RETURN(eval->start_ms, base::ParseDuration(start));
      NARTHEX_ASSIGN_OR_RETURN(eval->end_ms, base::ParseDuration(end));
      NARTHEX_ASSIGN_OR_RETURN(eval->step_ms, base::ParseDuration(step));
    } else {
      return absl::InvalidArgumentError("malformed eval");
    }
    eval->fails = mode == "fail";
    eval->ordered = mode == "ordered";
    if (mode == "warn") eval->warnings.push_back({});
    if (mode == "info") eval->infos.push_back({});
    return absl::OkStatus();
  }

  static absl::Status ParseExpectation(const std::string& line,
                                       EvalCommand* eval) {
    static const re2::RE2 kMatrix(
        R"(^expect range vector from (.+) to (.+) step (.+)$)");
    static const re2::RE2 kText(R"(^expect string (.+)$)");
    static const re2::RE2 kOther(
        R"(^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$)");
    static const re2::RE2 kOld(R"(^expected_fail_(message|regexp)\s+(.+)$)");
    std::string what;
    std::string how;
    std::string text;
    if (re2::RE2::FullMatch(line, kMatrix, &what, &how, &text)) {
      NARTHEX_ASSIGN_OR_RETURN(const auto start, base::ParseDuration(what));
      NARTHEX_ASSIGN_OR_RETURN(const auto end, base::ParseDuration(how));
      NARTHEX_ASSIGN_OR_RETURN(const auto step, base::ParseDuration(text));
      eval->matrix_grid = StepGrid::Between(start, end, step);
      return absl::OkStatus();
    }
    if (re2::RE2::FullMatch(line, kText, &text)) {
      NARTHEX_ASSIGN_OR_RETURN(eval->text, base::Unquote(text));
      return absl::OkStatus();
    }
    if (re2::RE2::FullMatch(line, kOld, &how, &text)) {
      what = "fail";
    } else if (!re2::RE2::FullMatch(line, kOther, &what, &how, &text)) {
      return absl::InvalidArgumentError("malformed expectation");
    }
    TextExpectation expectation;
    expectation.text = std::string(absl::StripAsciiWhitespace(text));
    if (how == "msg" || how == "message") {
      expectation.kind = TextExpectation::Kind::kEqual;
    } else if (!how.empty()) {
      expectation.kind = TextExpectation::Kind::kPattern;
    }
    if (what == "ordered") eval->ordered = true;
    if (what == "no_warn") eval->no_warn = true;
    if (what == "no_info") eval->no_info = true;
    if (what == "warn") eval->warnings.push_back(expectation);
    if (what == "info") eval->infos.push_back(expectation);
    if (what == "fail") {
      eval->fails = true;
      eval->failure = expectation;
    }
    return absl::OkStatus();
  }

  std::vector<std::string> lines_;
  std::size_t at_ = 0;
};

absl::StatusOr<Script> Script::Parse(absl::string_view text) {
  return ScriptParser(text).Parse();
}

namespace {

class MemoryScriptStorage : public ScriptStorage {
 public:
  void Clear() override { storage_.Clear(); }
  absl::Status Load(const std::vector<LoadedSeries>& series) override {
    for (const LoadedSeries& loaded : series) {
      model::SampleColumns samples = loaded.samples;
      SetStoredCounterResets(&samples);
      storage_.Add(loaded.labels, samples);
    }
    return absl::OkStatus();
  }
  storage::Queryable& queryable() override { return storage_; }

 private:
  storage::MemoryStorage storage_;
};

absl::Status LoadInto(const LoadCommand& load, ScriptStorage& storage) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<LoadedSeries> series,
                           Expand(load));
  return storage.Load(series);
}

}  // namespace

ScriptReport Script::Run(Engine& engine) const {
  MemoryScriptStorage storage;
  return Run(engine, storage);
}

ScriptReport Script::Run(Engine& engine, ScriptStorage& storage) const {
  ScriptReport report;
  const auto fail = [&report](std::size_t line, absl::string_view query,
                              absl::string_view difference) {
    ++report.failed;
    report.failures.push_back(
        absl::StrCat("line ", line, ": ", query, ": ", difference));
  };
  for (const Command& command : commands_) {
    if (command.kind == Command::Kind::kClear) {
      storage.Clear();
    } else if (command.kind == Command::Kind::kLoad) {
      const absl::Status status = LoadInto(command.load, storage);
      if (!status.ok()) fail(command.line, "load", status.message());
    } else {
      const std::string difference =
          CheckEval(engine, storage.queryable(), command.eval);
      if (difference.empty()) {
        ++report.passed;
      } else {
        fail(command.eval.line, command.eval.query, difference);
      }
    }
  }
  return report;
}

}  // namespace narthex::promql
