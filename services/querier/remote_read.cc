#include "services/querier/remote_read.h"

#include <snappy.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/crc32c.h"
#include "libs/base/proto_field.h"
#include "libs/base/status.h"
#include "libs/base/varint.h"
#include "libs/tsdb/stored_sample.h"
#include "services/querier/snappy_body.h"
#include "services/querier/written_histogram.h"

namespace narthex::querier {
namespace {

// The numbers of prometheus.ReadRequest.ResponseType.
constexpr std::uint64_t kSamplesType = 0;
constexpr std::uint64_t kChunksType = 1;
// What Prometheus aims at in a chunk.
constexpr int kSamplesPerChunk = 120;

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
  base::ProtoField field;
  while (!bytes.empty()) {
    if (!base::ReadField(&bytes, &field)) return Malformed();
    if (field.number == 1 && field.type == base::kVarint)
      type = field.number_value;
    if (field.number == 2 && field.type == base::kBytes) name = field.bytes;
    if (field.number == 3 && field.type == base::kBytes) value = field.bytes;
  }
  if (type > 3) return absl::InvalidArgumentError("invalid matcher type");
  return model::Matcher::Create(kTypes[type], name, value);
}

absl::StatusOr<ReadQuery> ParseQuery(absl::string_view bytes) {
  ReadQuery query;
  base::ProtoField field;
  while (!bytes.empty()) {
    if (!base::ReadField(&bytes, &field)) return Malformed();
    const auto number = static_cast<std::int64_t>(field.number_value);
    if (field.number == 1 && field.type == base::kVarint) {
      query.range.min_ms = number;
    } else if (field.number == 2 && field.type == base::kVarint) {
      query.range.max_ms = number;
    } else if (field.number == 3 && field.type == base::kBytes) {
      NARTHEX_ASSIGN_OR_RETURN(model::Matcher matcher,
                               ParseMatcher(field.bytes));
      query.matchers.push_back(std::move(matcher));
    }
  }
  return query;
}

// `{1: name, 2: value}` as field 1.
void AppendLabel(absl::string_view name, absl::string_view value,
                 std::string* series) {
  std::string label;
  base::AppendBytesField(1, name, &label);
  base::AppendBytesField(2, value, &label);
  base::AppendBytesField(1, label, series);
}

// The labels of a series, with external ones that it has not.
void AppendLabels(const model::Labels& labels, const model::Labels& external,
                  std::string* series) {
  model::LabelsBuilder builder(labels);
  for (const model::Label& label : external) {
    if (!labels.Has(label.name)) builder.Set(label.name, label.value);
  }
  for (const model::Label& label : builder.Build()) {
    AppendLabel(label.name, label.value, series);
  }
}

// prometheus.TimeSeries.
void AppendSeries(const model::Labels& labels, const model::Labels& external,
                  const std::vector<tsdb::StoredSample>& samples,
                  std::string* out) {
  constexpr std::uint32_t kSamplesField = 2;
  constexpr std::uint32_t kHistogramsField = 4;
  std::string series;
  AppendLabels(labels, external, &series);
  std::string message;
  for (const tsdb::StoredSample& sample : samples) {
    message.clear();
    if (sample.is_float()) {
      base::AppendDoubleField(1, sample.value, &message);
      base::AppendVarintField(
          2, static_cast<std::uint64_t>(sample.timestamp_ms), &message);
      base::AppendBytesField(kSamplesField, message, &series);
    } else {
      AppendHistogram({sample.timestamp_ms, sample.histogram}, &message);
      base::AppendBytesField(kHistogramsField, message, &series);
    }
  }
  base::AppendBytesField(1, series, out);
}

// Whether the chunks may go out as they are: one after the other, in encodings
// that every reader knows.
bool Presentable(const std::vector<storage::Chunk>& chunks) {
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    if (i > 0 && chunks[i].min_ms <= chunks[i - 1].max_ms) return false;
    if (chunks[i].encoding > storage::Encoding::kFloatHistogram) return false;
  }
  return true;
}

// A frame of the stream.
absl::Status SendFrame(absl::string_view message, http::Response& response) {
  std::string frame;
  base::PutUvarint(message.size(), &frame);
  base::PutBe32(base::Crc32c(message), &frame);
  frame.append(message.data(), message.size());
  return response.Write(frame);
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

absl::StatusOr<ReadRequest> ParseReadRequest(absl::string_view message) {
  ReadRequest request;
  std::vector<std::uint64_t> types;
  base::ProtoField field;
  while (!message.empty()) {
    if (!base::ReadField(&message, &field)) return Malformed();
    if (field.number == 1 && field.type == base::kBytes) {
      NARTHEX_ASSIGN_OR_RETURN(ReadQuery query, ParseQuery(field.bytes));
      request.queries.push_back(std::move(query));
    } else if (field.number == 2 && !base::ReadVarints(field, &types)) {
      return Malformed();
    }
  }
  // The first that is known of those that the sender takes.
  const auto known = std::find_if(types.begin(), types.end(), [](auto type) {
    return type == kSamplesType || type == kChunksType;
  });
  if (known != types.end()) {
    request.chunks = *known == kChunksType;
  } else if (!types.empty()) {
    return absl::InvalidArgumentError(
        "server does not support any of the requested response types: only "
        "SAMPLES and STREAMED_XOR_CHUNKS");
  }
  return request;
}

void RemoteRead::Handle(const http::Request& request,
                        http::Response& response) {
  const bool crowded = running_.fetch_add(1) >= options_.concurrent_limit &&
                       options_.concurrent_limit > 0;
  const absl::Status status =
      crowded ? absl::UnavailableError("too many remote reads at a time")
              : Answer(request.body, response);
  running_.fetch_sub(1);
  if (status.ok()) return;
  // What has begun cannot be taken back.
  if (response.streaming()) return response.Abort(status.message());
  const bool client_error =
      absl::IsInvalidArgument(status) || absl::IsResourceExhausted(status);
  response.headers().Remove("Content-Encoding");
  response.Error(client_error ? 400 : 500, status.message());
}

absl::Status RemoteRead::Answer(const std::string& body,
                                http::Response& response) {
  std::string message;
  NARTHEX_RETURN_IF_ERROR(UncompressBody(body, &message));
  NARTHEX_ASSIGN_OR_RETURN(ReadRequest request, ParseReadRequest(message));
  return request.chunks ? SendChunks(std::move(request.queries), response)
                        : SendSamples(std::move(request.queries), response);
}

absl::Status RemoteRead::SendSamples(std::vector<ReadQuery> queries,
                                     http::Response& response) {
  std::string results;
  std::int64_t samples = 0;
  for (ReadQuery& query : queries) {
    std::string result;
    NARTHEX_RETURN_IF_ERROR(AppendResult(std::move(query), &samples, &result));
    base::AppendBytesField(1, result, &results);
  }
  std::string compressed;
  snappy::Compress(results.data(), results.size(), &compressed);
  response.headers().Set("Content-Encoding", "snappy");
  response.Send(200, "application/x-protobuf", std::move(compressed));
  return absl::OkStatus();
}

absl::Status RemoteRead::AppendResult(ReadQuery query, std::int64_t* samples,
                                      std::string* out) {
  const auto external = external_labels_();
  DropExternal(*external, &query.matchers);
  const auto set = ingesters_.SelectChunks(query.range, query.matchers);
  storage::ChunkSeries series;
  std::vector<tsdb::StoredSample> stored;
  while (set->Next(&series)) {
    stored.clear();
    NARTHEX_RETURN_IF_ERROR(tsdb::MergeStored(series.chunks, &stored));
    std::erase_if(stored, [&query](const tsdb::StoredSample& sample) {
      return sample.timestamp_ms < query.range.min_ms ||
             sample.timestamp_ms > query.range.max_ms;
    });
    if (stored.empty()) continue;
    *samples += static_cast<std::int64_t>(stored.size());
    if (options_.sample_limit > 0 && *samples > options_.sample_limit) {
      return absl::ResourceExhaustedError(
          absl::StrCat("exceeded sample limit (", options_.sample_limit, ")"));
    }
    AppendSeries(series.labels, *external, stored, out);
  }
  return set->status();
}

absl::Status RemoteRead::SendChunks(std::vector<ReadQuery> queries,
                                    http::Response& response) {
  response.headers().Set(
      "Content-Type",
      "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse");
  const auto external = external_labels_();
  for (std::size_t i = 0; i < queries.size(); ++i) {
    DropExternal(*external, &queries[i].matchers);
    const auto set =
        ingesters_.SelectChunks(queries[i].range, queries[i].matchers);
    storage::ChunkSeries series;
    while (set->Next(&series)) {
      if (!Presentable(series.chunks)) {
        std::vector<tsdb::StoredSample> stored;
        NARTHEX_RETURN_IF_ERROR(tsdb::MergeStored(series.chunks, &stored));
        // Readers need not know the encodings that hold start times.
        for (tsdb::StoredSample& one : stored) one.start_ms = 0;
        series.chunks.clear();
        tsdb::EncodeStored(stored, kSamplesPerChunk, &series.chunks);
      }
      NARTHEX_RETURN_IF_ERROR(SendSeries(series, *external, i, response));
    }
    NARTHEX_RETURN_IF_ERROR(set->status());
  }
  return absl::OkStatus();
}

// One series a frame; a large one is spread over several.
absl::Status RemoteRead::SendSeries(const storage::ChunkSeries& series,
                                    const model::Labels& external,
                                    std::size_t query,
                                    http::Response& response) const {
  std::string labels;
  AppendLabels(series.labels, external, &labels);
  std::string message = labels;
  const auto most = static_cast<std::size_t>(options_.frame_bytes);
  for (std::size_t i = 0; i < series.chunks.size(); ++i) {
    const storage::Chunk& chunk = series.chunks[i];
    std::string encoded;
    base::AppendVarintField(1, static_cast<std::uint64_t>(chunk.min_ms),
                            &encoded);
    base::AppendVarintField(2, static_cast<std::uint64_t>(chunk.max_ms),
                            &encoded);
    base::AppendVarintField(3, static_cast<std::uint64_t>(chunk.encoding),
                            &encoded);
    base::AppendBytesField(4, chunk.bytes, &encoded);
    base::AppendBytesField(2, encoded, &message);
    if (message.size() < most && i + 1 < series.chunks.size()) continue;
    std::string frame;
    base::AppendBytesField(1, message, &frame);
    if (query != 0) base::AppendVarintField(2, query, &frame);
    NARTHEX_RETURN_IF_ERROR(SendFrame(frame, response));
    message = labels;
  }
  return absl::OkStatus();
}

void AddRemoteRead(http::Router& router, RemoteRead& remote_read) {
  router.Post("/api/v1/read", [&remote_read](const http::Request& request,
                                             http::Response& response) {
    remote_read.Handle(request, response);
  });
}

}  // namespace narthex::querier
