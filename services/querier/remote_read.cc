#include "services/querier/remote_read.h"

#include <snappy.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/model/sample.h"
#include "services/querier/proto_field.h"
#include "services/querier/snappy_body.h"

namespace narthex::querier {
namespace {

constexpr std::uint64_t kSamplesType = 0;

absl::Status Malformed() {
  return absl::InvalidArgumentError("malformed read request");
}

absl::StatusOr<model::Matcher> ParseMatcher(absl::string_view bytes) {
  // In the order of the message's numbers.
  constexpr model::MatchType kTypes[] = {
      model::MatchType::kEqual, model::MatchType::kNotEqual,
      model::MatchType::kRegex, model::MatchType::kNotRegex};
  std::uint64_t type = 0;
  absl::string_view name;
  absl::string_view value;
  ProtoField field;
  while (!bytes.empty()) {
    if (!ReadField(&bytes, &field)) return Malformed();
    if (field.number == 1 && field.type == kVarint) type = field.number_value;
    if (field.number == 2 && field.type == kBytes) name = field.bytes;
    if (field.number == 3 && field.type == kBytes) value = field.bytes;
  }
  if (type > 3) return absl::InvalidArgumentError("invalid matcher type");
  return model::Matcher::Create(kTypes[type], name, value);
}

absl::StatusOr<ReadQuery> ParseQuery(absl::string_view bytes) {
  ReadQuery query;
  ProtoField field;
  while (!bytes.empty()) {
    if (!ReadField(&bytes, &field)) return Malformed();
    const auto number = static_cast<std::int64_t>(field.number_value);
    if (field.number == 1 && field.type == kVarint) {
      query.range.min_ms = number;
    } else if (field.number == 2 && field.type == kVarint) {
      query.range.max_ms = number;
    } else if (field.number == 3 && field.type == kBytes) {
      NARTHEX_ASSIGN_OR_RETURN(model::Matcher matcher,
                               ParseMatcher(field.bytes));
      query.matchers.push_back(std::move(matcher));
    }
  }
  return query;
}

// The types in a packed or single field; whether one of them is wanted.
bool HoldsSamplesType(const ProtoField& field) {
  if (field.type == kVarint) return field.number_value == kSamplesType;
  base::ByteReader reader(field.bytes);
  while (reader.remaining() > 0 && reader.ok()) {
    if (reader.Uvarint() == kSamplesType && reader.ok()) return true;
  }
  return false;
}

void AppendLabel(absl::string_view name, absl::string_view value,
                 std::string* series) {
  std::string label;
  AppendBytesField(1, name, &label);
  AppendBytesField(2, value, &label);
  AppendBytesField(1, label, series);
}

void AppendSeries(const model::Labels& labels, const model::Labels& external,
                  const model::SampleColumns& samples, std::string* out) {
  model::LabelsBuilder builder(labels);
  for (const model::Label& label : external) {
    if (!labels.Has(label.name)) builder.Set(label.name, label.value);
  }
  std::string series;
  for (const auto& [name, value] : builder.pairs()) {
    AppendLabel(name, value, &series);
  }
  std::string sample;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    sample.clear();
    AppendDoubleField(1, samples.values[i], &sample);
    AppendVarintField(2, static_cast<std::uint64_t>(samples.timestamps_ms[i]),
                      &sample);
    AppendBytesField(2, sample, &series);
  }
  AppendBytesField(1, series, out);
}

// What all our series have need not be looked for.
void DropExternal(const model::Labels& external,
                  std::vector<model::Matcher>* matchers) {
  matchers->erase(
      std::remove_if(matchers->begin(), matchers->end(),
                     [&](const model::Matcher& matcher) {
                       return matcher.type() == model::MatchType::kEqual &&
                              external.Has(matcher.name()) &&
                              external.Get(matcher.name()) == matcher.value();
                     }),
      matchers->end());
}

}  // namespace

absl::StatusOr<std::vector<ReadQuery>> ParseReadRequest(
    absl::string_view message) {
  std::vector<ReadQuery> queries;
  bool names_types = false;
  bool takes_samples = false;
  ProtoField field;
  while (!message.empty()) {
    if (!ReadField(&message, &field)) return Malformed();
    if (field.number == 1 && field.type == kBytes) {
      NARTHEX_ASSIGN_OR_RETURN(ReadQuery query, ParseQuery(field.bytes));
      queries.push_back(std::move(query));
    } else if (field.number == 2) {
      names_types = true;
      takes_samples = takes_samples || HoldsSamplesType(field);
    }
  }
  if (names_types && !takes_samples) {
    return absl::InvalidArgumentError(
        "server does not support any of the requested response types: only "
        "SAMPLES");
  }
  return queries;
}

void RemoteRead::Handle(const http::Request& request,
                        http::Response& response) {
  const bool crowded = running_.fetch_add(1) >= options_.concurrent_limit &&
                       options_.concurrent_limit > 0;
  absl::StatusOr<std::string> answer =
      crowded ? absl::UnavailableError("too many remote reads at a time")
              : Answer(request.body);
  running_.fetch_sub(1);
  if (answer.ok()) {
    response.headers().Set("Content-Encoding", "snappy");
    response.Send(200, "application/x-protobuf", *std::move(answer));
    return;
  }
  const bool client_error = absl::IsInvalidArgument(answer.status()) ||
                            absl::IsResourceExhausted(answer.status());
  response.Error(client_error ? 400 : 500, answer.status().message());
}

absl::StatusOr<std::string> RemoteRead::Answer(const std::string& body) {
  std::string message;
  NARTHEX_RETURN_IF_ERROR(UncompressBody(body, &message));
  NARTHEX_ASSIGN_OR_RETURN(std::vector<ReadQuery> queries,
                           ParseReadRequest(message));
  std::string results;
  std::int64_t samples = 0;
  for (ReadQuery& query : queries) {
    std::string result;
    NARTHEX_RETURN_IF_ERROR(AppendResult(std::move(query), &samples, &result));
    AppendBytesField(1, result, &results);
  }
  std::string compressed;
  snappy::Compress(results.data(), results.size(), &compressed);
  return compressed;
}

absl::Status RemoteRead::AppendResult(ReadQuery query, std::int64_t* samples,
                                      std::string* out) {
  const auto external = external_labels_();
  DropExternal(*external, &query.matchers);
  storage::SelectHints hints;
  hints.range = query.range;
  NARTHEX_ASSIGN_OR_RETURN(const auto set,
                           storage_.Select(hints, query.matchers));
  model::SampleColumns columns;
  while (set->Next()) {
    const auto series = set->At();
    columns.clear();
    NARTHEX_RETURN_IF_ERROR(series->Read(&columns));
    *samples += static_cast<std::int64_t>(columns.size());
    if (options_.sample_limit > 0 && *samples > options_.sample_limit) {
      return absl::ResourceExhaustedError(
          absl::StrCat("exceeded sample limit (", options_.sample_limit, ")"));
    }
    AppendSeries(series->labels(), *external, columns, out);
  }
  return set->status();
}

void AddRemoteRead(http::Router& router, RemoteRead& remote_read) {
  router.Post("/api/v1/read", [&remote_read](const http::Request& request,
                                             http::Response& response) {
    remote_read.Handle(request, response);
  });
}

}  // namespace narthex::querier
