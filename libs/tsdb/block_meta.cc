#include "libs/tsdb/block_meta.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status.h"

namespace narthex::tsdb {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;

std::string PathIn(const std::string& directory) {
  return absl::StrCat(directory, "/meta.json");
}

// These throw what nlohmann throws for a value of the wrong type;
// ParseBlockMeta catches it.
template <typename T>
T Get(const Json& object, const char* field) {
  const auto it = object.find(field);
  if (it == object.end() || it->is_null()) return T{};
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    // Throws for a fraction, of which get() would convert any.
    static_cast<void>(it->template get_ref<const Json::number_integer_t&>());
  }
  return it->get<T>();
}

Json GetObject(const Json& object, const char* field) {
  const auto it = object.find(field);
  if (it == object.end() || it->is_null()) return Json::object();
  return it->get_ref<const Json::object_t&>();
}

absl::Status ParseCompaction(const Json& json, BlockCompaction* compaction) {
  compaction->level = Get<int>(json, "level");
  compaction->deletable = Get<bool>(json, "deletable");
  compaction->failed = Get<bool>(json, "failed");
  compaction->hints = Get<std::vector<std::string>>(json, "hints");
  for (const auto& text : Get<std::vector<std::string>>(json, "sources")) {
    NARTHEX_ASSIGN_OR_RETURN(const Ulid ulid, Ulid::Parse(text));
    compaction->sources.push_back(ulid);
  }
  for (const auto& parent : Get<std::vector<Json>>(json, "parents")) {
    NARTHEX_ASSIGN_OR_RETURN(const Ulid ulid,
                             Ulid::Parse(Get<std::string>(parent, "ulid")));
    compaction->parents.push_back({ulid, Get<std::int64_t>(parent, "minTime"),
                                   Get<std::int64_t>(parent, "maxTime")});
  }
  return absl::OkStatus();
}

absl::StatusOr<BlockMeta> Parse(const Json& json) {
  const auto version = Get<int>(json, "version");
  if (version != kVersion) {
    return absl::InvalidArgumentError(
        absl::StrCat("version ", version, " is not read"));
  }
  BlockMeta meta;
  NARTHEX_ASSIGN_OR_RETURN(meta.ulid,
                           Ulid::Parse(Get<std::string>(json, "ulid")));
  meta.min_ms = Get<std::int64_t>(json, "minTime");
  meta.max_ms = Get<std::int64_t>(json, "maxTime");
  const Json stats = GetObject(json, "stats");
  meta.stats.samples = Get<std::uint64_t>(stats, "numSamples");
  meta.stats.float_samples = Get<std::uint64_t>(stats, "numFloatSamples");
  meta.stats.histogram_samples =
      Get<std::uint64_t>(stats, "numHistogramSamples");
  meta.stats.series = Get<std::uint64_t>(stats, "numSeries");
  meta.stats.chunks = Get<std::uint64_t>(stats, "numChunks");
  meta.stats.tombstones = Get<std::uint64_t>(stats, "numTombstones");
  NARTHEX_RETURN_IF_ERROR(
      ParseCompaction(GetObject(json, "compaction"), &meta.compaction));
  return meta;
}

/// Leaves out zeros, as Prometheus does.
void SetCount(const char* field, std::uint64_t count, Json* json) {
  if (count != 0) (*json)[field] = count;
}

Json FormatStats(const BlockStats& stats) {
  Json json = Json::object();
  SetCount("numSamples", stats.samples, &json);
  SetCount("numFloatSamples", stats.float_samples, &json);
  SetCount("numHistogramSamples", stats.histogram_samples, &json);
  SetCount("numSeries", stats.series, &json);
  SetCount("numChunks", stats.chunks, &json);
  SetCount("numTombstones", stats.tombstones, &json);
  return json;
}

Json FormatCompaction(const BlockCompaction& compaction) {
  Json json = Json::object();
  json["level"] = compaction.level;
  for (const Ulid& source : compaction.sources) {
    json["sources"].push_back(source.ToString());
  }
  if (compaction.deletable) json["deletable"] = true;
  for (const BlockParent& parent : compaction.parents) {
    json["parents"].push_back(Json{{"ulid", parent.ulid.ToString()},
                                   {"minTime", parent.min_ms},
                                   {"maxTime", parent.max_ms}});
  }
  if (compaction.failed) json["failed"] = true;
  if (!compaction.hints.empty()) json["hints"] = compaction.hints;
  return json;
}

}  // namespace

bool BlockCompaction::HasHint(absl::string_view hint) const {
  return std::find(hints.begin(), hints.end(), hint) != hints.end();
}

absl::StatusOr<BlockMeta> ParseBlockMeta(absl::string_view text) {
  try {
    const Json json = Json::parse(text.begin(), text.end());
    if (!json.is_object()) {
      return absl::InvalidArgumentError("not a JSON object");
    }
    return Parse(json);
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

std::string FormatBlockMeta(const BlockMeta& meta) {
  Json json = Json::object();
  json["ulid"] = meta.ulid.ToString();
  json["minTime"] = meta.min_ms;
  json["maxTime"] = meta.max_ms;
  json["stats"] = FormatStats(meta.stats);
  json["compaction"] = FormatCompaction(meta.compaction);
  json["version"] = kVersion;
  return json.dump(1, '\t', false, Json::error_handler_t::replace);
}

absl::StatusOr<std::set<Ulid>> ReadUploadedBlocks(const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path));
  const nlohmann::json json =
      nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto malformed = [&path](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
  };
  if (!json.is_object() || !json.contains("uploaded") ||
      !json["uploaded"].is_array()) {
    return malformed("no JSON object with a list \"uploaded\"");
  }
  std::set<Ulid> uploaded;
  for (const nlohmann::json& item : json["uploaded"]) {
    if (!item.is_string()) return malformed("\"uploaded\" holds no text");
    NARTHEX_ASSIGN_OR_RETURN(const Ulid ulid,
                             Ulid::Parse(item.get<std::string>()));
    uploaded.insert(ulid);
  }
  return uploaded;
}

absl::StatusOr<BlockMeta> ReadBlockMeta(const std::string& directory) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string text,
                           base::ReadFile(PathIn(directory)));
  auto meta = ParseBlockMeta(text);
  if (!meta.ok()) return base::Annotate(meta.status(), PathIn(directory));
  return meta;
}

absl::Status WriteBlockMeta(const std::string& directory,
                            const BlockMeta& meta) {
  return base::WriteFileAtomically(PathIn(directory), FormatBlockMeta(meta));
}

}  // namespace narthex::tsdb
