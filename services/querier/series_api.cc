#include "services/querier/series_api.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/model/labels.h"

namespace narthex::querier {
namespace {

constexpr char kTruncated[] = "results truncated due to limit";

// One more than is given out tells whether something was left out.
std::size_t AskLimit(std::size_t limit) { return limit == 0 ? 0 : limit + 1; }

void Truncate(std::size_t limit, std::vector<std::string>* texts,
              Answer* answer) {
  if (limit == 0 || texts->size() <= limit) return;
  texts->resize(limit);
  answer->warnings.push_back(kTruncated);
}

void AppendUtf8(std::uint32_t rune, std::string* out) {
  const auto put = [out](std::uint32_t byte) {
    out->push_back(static_cast<char>(byte));
  };
  if (rune < 0x80) {
    put(rune);
  } else if (rune < 0x800) {
    put(0xc0 | (rune >> 6)), put(0x80 | (rune & 0x3f));
  } else if (rune < 0x10000) {
    put(0xe0 | (rune >> 12)), put(0x80 | ((rune >> 6) & 0x3f));
    put(0x80 | (rune & 0x3f));
  } else {
    put(0xf0 | (rune >> 18)), put(0x80 | ((rune >> 12) & 0x3f));
    put(0x80 | ((rune >> 6) & 0x3f)), put(0x80 | (rune & 0x3f));
  }
}

// Undoes the "U__" escaping of names: "_2e_" is the code point 0x2e, "__" an
// underscore. What is not well-formed stays as it is.
std::string UnescapeName(absl::string_view name) {
  if (!absl::StartsWith(name, "U__")) return std::string(name);
  std::string out;
  for (std::size_t i = 3; i < name.size(); ++i) {
    if (name[i] != '_') {
      out.push_back(name[i]);
      continue;
    }
    const std::size_t end = name.find('_', i + 1);
    if (end == absl::string_view::npos) return std::string(name);
    std::uint32_t rune = '_';
    const absl::string_view hex = name.substr(i + 1, end - i - 1);
    if (!hex.empty() && (hex.size() > 6 || !absl::SimpleHexAtoi(hex, &rune))) {
      return std::string(name);
    }
    AppendUtf8(rune, &out);
    i = end;
  }
  return base::IsValidUtf8(out) ? out : std::string(name);
}

// A storage that cannot say is an error of the execution, as upstream.
absl::Status ExecutionError(const absl::Status& status) {
  if (absl::IsUnavailable(status) || absl::IsCancelled(status) ||
      absl::IsDeadlineExceeded(status)) {
    return status;
  }
  return absl::FailedPreconditionError(status.message());
}

absl::Status LabelNames(const SeriesSource& source,
                        const http::Request& request, Answer* answer) {
  NARTHEX_ASSIGN_OR_RETURN(const std::size_t limit, LimitParam(request.params));
  NARTHEX_ASSIGN_OR_RETURN(const storage::TimeRange range,
                           RangeParams(request.params));
  NARTHEX_ASSIGN_OR_RETURN(const MatcherSets sets, MatchParams(request.params));
  auto names = source.queryable->LabelNames(range, sets, AskLimit(limit));
  if (!names.ok()) return ExecutionError(names.status());
  Truncate(limit, &*names, answer);
  answer->data().Strings(*names);
  return absl::OkStatus();
}

absl::Status LabelValues(const SeriesSource& source,
                         const http::Request& request, Answer* answer) {
  const std::string name = UnescapeName(request.PathParam("name"));
  if (!model::IsUtf8Name(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid label name: ", base::Quote(name)));
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::size_t limit, LimitParam(request.params));
  NARTHEX_ASSIGN_OR_RETURN(const storage::TimeRange range,
                           RangeParams(request.params));
  NARTHEX_ASSIGN_OR_RETURN(const MatcherSets sets, MatchParams(request.params));
  auto values =
      source.queryable->LabelValues(name, range, sets, AskLimit(limit));
  if (!values.ok()) return ExecutionError(values.status());
  Truncate(limit, &*values, answer);
  answer->data().Strings(*values);
  return absl::OkStatus();
}

// Pairs are made JSON once, and what a series shares with the one before it
// is copied from there.
absl::Status WriteTable(const storage::LabelTable& table, Answer* answer) {
  std::vector<std::string> pairs(table.pair_count());
  std::string object = "{";
  std::vector<std::size_t> ends;  // Of the pairs in `object`.
  JsonWriter& json = answer->data().BeginArray();
  for (std::size_t i = 0; i < table.size(); ++i) {
    const storage::LabelTable::Row row = table.row(i);
    const std::size_t shared = table.SharedWithPrevious(i);
    ends.resize(shared);
    object.resize(shared == 0 ? 1 : ends.back());
    for (const auto number : row.subspan(shared)) {
      std::string& pair = pairs[number];
      if (pair.empty()) AppendJsonPair(table.pair(number), &pair);
      if (object.size() > 1) object.push_back(',');
      object += pair;
      ends.push_back(object.size());
    }
    json.Raw()->append(object).push_back('}');
    NARTHEX_RETURN_IF_ERROR(answer->Flush());
  }
  json.EndArray();
  return absl::OkStatus();
}

absl::Status Series(const SeriesSource& source, const http::Request& request,
                    Answer* answer) {
  if (!request.params.Has("match[]")) {
    return absl::InvalidArgumentError("no match[] parameter provided");
  }
  NARTHEX_ASSIGN_OR_RETURN(const std::size_t limit, LimitParam(request.params));
  NARTHEX_ASSIGN_OR_RETURN(const storage::TimeRange range,
                           RangeParams(request.params));
  const auto sets = MatchParams(request.params);
  if (!sets.ok()) return InvalidParam("match[]", sets.status().message());
  auto series = source.series_labels(range, *sets, AskLimit(limit));
  if (!series.ok()) return ExecutionError(series.status());
  if (limit > 0 && series->size() > limit) {
    series->Truncate(limit);
    answer->warnings.push_back(kTruncated);
  }
  return WriteTable(*series, answer);
}

}  // namespace

void AddSeriesRoutes(ApiRoutes& routes, SeriesSource source) {
  routes.Add("GET POST", "/series",
             [source](const http::Request& request, Answer* answer) {
               return Series(source, request, answer);
             });
  routes.Add("GET POST", "/labels",
             [source](const http::Request& request, Answer* answer) {
               return LabelNames(source, request, answer);
             });
  routes.Add("GET", "/label/{name}/values",
             [source](const http::Request& request, Answer* answer) {
               return LabelValues(source, request, answer);
             });
}

}  // namespace narthex::querier
