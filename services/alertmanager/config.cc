#include "services/alertmanager/config.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/yaml/decoder.h"
#include "services/alertmanager/config_receivers.h"

namespace narthex::alertmanager {
namespace {

using Matchers = std::vector<model::Matcher>;

/// Reads a configuration tree; holds what all its parts need.
class Reader {
 public:
  Reader(const ConfigOptions& options, Config* config)
      : options_(options), config_(config) {}

  absl::Status Read(const yaml::Node& root);

 private:
  absl::Status ReadRoute(const yaml::Node& node, RouteConfig* out);
  absl::Status ReadInhibitRule(const yaml::Node& node, InhibitRuleConfig* out);
  absl::Status ReadReceivers(const yaml::Node& list);
  absl::Status ReadTimeIntervals(const yaml::Node& list);
  absl::Status CheckRoute(const yaml::Node& node, const RouteConfig& route);
  absl::Status CheckRoot(const yaml::Node& node, const RouteConfig& route);
  absl::Status CheckGroupBy(const yaml::Node& node, const RouteConfig& route);

  void TakeMatchers(yaml::Decoder& decoder, absl::string_view name,
                    Matchers* out);
  void TakeEqualities(yaml::Decoder& decoder, absl::string_view name,
                      model::MatchType type, Matchers* out);
  void RefuseUnsupported(yaml::Decoder& decoder, absl::string_view name);

  const ConfigOptions& options_;
  Config* config_;
  std::set<std::string> receivers_;
  std::set<std::string> intervals_;
  std::vector<absl::Status> unsupported_;
};

/// Reads every item of a list with a function of its own.
template <typename T, typename Function>
absl::Status ReadList(const yaml::Node& list, std::vector<T>* out,
                      Function read) {
  if (list.is_null()) return absl::OkStatus();
  if (!list.is_sequence()) return list.Error("expected a list");
  for (const auto& item : list.items()) {
    if (item->is_null()) return item->Error("empty or null entry in a list");
    NARTHEX_RETURN_IF_ERROR(read(*item, &out->emplace_back()));
  }
  return absl::OkStatus();
}

void Reader::TakeMatchers(yaml::Decoder& decoder, absl::string_view name,
                          Matchers* out) {
  std::vector<std::string> texts;
  if (!decoder.Field(name, &texts)) return;
  for (const std::string& text : texts) {
    absl::StatusOr<Matchers> parsed =
        ParseMatchers(text, options_.matcher_syntax);
    if (!parsed.ok()) {
      return decoder.FailField(name, parsed.status().message());
    }
    out->insert(out->end(), parsed->begin(), parsed->end());
  }
}

void Reader::TakeEqualities(yaml::Decoder& decoder, absl::string_view name,
                            model::MatchType type, Matchers* out) {
  const yaml::Node* map = decoder.Take(name);
  if (map == nullptr || map->is_null()) return;
  if (!map->is_map()) return decoder.Fail(map->Error("expected a map"));
  for (const yaml::Node::Entry& entry : map->entries()) {
    if (!model::IsLegacyLabelName(entry.key)) {
      return decoder.Fail(entry.value->Error("invalid label name"));
    }
    if (entry.value->is_null() && type == model::MatchType::kRegex) {
      return decoder.Fail(entry.value->Error("missing regular expression"));
    }
    if (!entry.value->is_scalar() && !entry.value->is_null()) {
      return decoder.Fail(entry.value->Error("expected a text"));
    }
    absl::StatusOr<model::Matcher> matcher =
        model::Matcher::Create(type, entry.key, entry.value->scalar());
    if (!matcher.ok()) {
      return decoder.Fail(entry.value->Error(matcher.status().message()));
    }
    out->push_back(*std::move(matcher));
  }
}

void Reader::RefuseUnsupported(yaml::Decoder& decoder, absl::string_view name) {
  const yaml::Node* value = decoder.Take(name);
  if (value == nullptr || value->is_null()) return;
  unsupported_.push_back(absl::UnimplementedError(
      value->Error("known to Alertmanager, not supported yet").message()));
}

absl::Status Reader::CheckGroupBy(const yaml::Node& node,
                                  const RouteConfig& route) {
  if (!route.group_by.has_value()) return absl::OkStatus();
  std::set<std::string> seen;
  for (const std::string& label : *route.group_by) {
    if (label != "..." && !IsLabelName(label, options_.matcher_syntax)) {
      return node.Error(absl::StrCat("invalid label name ", base::Quote(label),
                                     " in group_by"));
    }
    if (!seen.insert(label).second) {
      return node.Error(absl::StrCat("duplicated label ", base::Quote(label),
                                     " in group_by"));
    }
  }
  if (seen.count("...") > 0 && seen.size() > 1) {
    return node.Error(
        "cannot have wildcard group_by (`...`) and other labels at the same "
        "time");
  }
  return absl::OkStatus();
}

absl::Status Reader::ReadRoute(const yaml::Node& node, RouteConfig* out) {
  yaml::Decoder decoder(node);
  decoder.Field("receiver", &out->receiver);
  decoder.Field("group_by", &out->group_by);
  TakeEqualities(decoder, "match", model::MatchType::kEqual, &out->matchers);
  TakeEqualities(decoder, "match_re", model::MatchType::kRegex, &out->matchers);
  TakeMatchers(decoder, "matchers", &out->matchers);
  SortMatchers(&out->matchers);
  decoder.Field("continue", &out->continue_matching);
  decoder.Field("labels", &out->labels);
  decoder.Field("mute_time_intervals", &out->mute_time_intervals);
  decoder.Field("active_time_intervals", &out->active_time_intervals);
  const auto take_duration = [&](absl::string_view name,
                                 std::optional<std::int64_t>* target) {
    std::int64_t value = 0;
    if (decoder.Duration(name, &value)) *target = value;
  };
  take_duration("group_wait", &out->group_wait_ms);
  take_duration("group_interval", &out->group_interval_ms);
  take_duration("repeat_interval", &out->repeat_interval_ms);
  if (out->group_interval_ms == 0) {
    decoder.Fail("group_interval cannot be zero");
  }
  if (out->repeat_interval_ms == 0) {
    decoder.Fail("repeat_interval cannot be zero");
  }
  if (const yaml::Node* routes = decoder.Take("routes")) {
    decoder.Fail(ReadList(*routes, &out->routes,
                          [this](const yaml::Node& item, RouteConfig* child) {
                            return ReadRoute(item, child);
                          }));
  }
  decoder.Fail(CheckGroupBy(node, *out));
  if (decoder.ok()) decoder.Fail(CheckRoute(node, *out));
  return decoder.Done();
}

absl::Status Reader::CheckRoute(const yaml::Node& node,
                                const RouteConfig& route) {
  if (!route.receiver.empty() && receivers_.count(route.receiver) == 0) {
    return node.Error(absl::StrCat(
        "undefined receiver ", base::Quote(route.receiver), " used in route"));
  }
  for (const auto* names :
       {&route.mute_time_intervals, &route.active_time_intervals}) {
    for (const std::string& name : *names) {
      if (intervals_.count(name) == 0) {
        return node.Error(absl::StrCat("undefined time interval ",
                                       base::Quote(name), " used in route"));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Reader::CheckRoot(const yaml::Node& node,
                               const RouteConfig& route) {
  if (route.receiver.empty()) {
    return node.Error("root route must specify a default receiver");
  }
  if (!route.matchers.empty()) {
    return node.Error("root route must not have any matchers");
  }
  if (!route.mute_time_intervals.empty()) {
    return node.Error("root route must not have any mute time intervals");
  }
  if (!route.active_time_intervals.empty()) {
    return node.Error("root route must not have any active time intervals");
  }
  return absl::OkStatus();
}

absl::Status Reader::ReadInhibitRule(const yaml::Node& node,
                                     InhibitRuleConfig* out) {
  using model::MatchType;
  yaml::Decoder decoder(node);
  decoder.Field("name", &out->name);
  TakeEqualities(decoder, "source_match", MatchType::kEqual, &out->source);
  TakeEqualities(decoder, "source_match_re", MatchType::kRegex, &out->source);
  TakeMatchers(decoder, "source_matchers", &out->source);
  TakeEqualities(decoder, "target_match", MatchType::kEqual, &out->target);
  TakeEqualities(decoder, "target_match_re", MatchType::kRegex, &out->target);
  TakeMatchers(decoder, "target_matchers", &out->target);
  SortMatchers(&out->source);
  SortMatchers(&out->target);
  decoder.Field("equal", &out->equal);
  for (const std::string& label : out->equal) {
    if (!IsLabelName(label, options_.matcher_syntax)) {
      decoder.FailField(
          "equal", absl::StrCat("invalid label name ", base::Quote(label)));
    }
  }
  return decoder.Done();
}

absl::Status Reader::ReadReceivers(const yaml::Node& list) {
  return ReadList(
      list, &config_->receivers,
      [this](const yaml::Node& item, ReceiverConfig* out) -> absl::Status {
        NARTHEX_RETURN_IF_ERROR(
            DecodeReceiver(item, config_->global, out, &unsupported_));
        if (!receivers_.insert(out->name).second) {
          return item.Error(absl::StrCat("notification config name ",
                                         base::Quote(out->name),
                                         " is not unique"));
        }
        return absl::OkStatus();
      });
}

absl::Status Reader::ReadTimeIntervals(const yaml::Node& list) {
  return ReadList(
      list, &config_->time_intervals,
      [this](const yaml::Node& item, NamedTimeIntervals* out) -> absl::Status {
        NARTHEX_RETURN_IF_ERROR(Decode(item, out));
        if (!intervals_.insert(out->name).second) {
          return item.Error(absl::StrCat(
              "time interval ", base::Quote(out->name), " is not unique"));
        }
        return absl::OkStatus();
      });
}

absl::Status Reader::Read(const yaml::Node& root) {
  yaml::Decoder decoder(root);
  // In this order, since each part may refer to those before it.
  if (const yaml::Node* global = decoder.Take("global")) {
    decoder.Fail(DecodeGlobal(*global, &config_->global));
  }
  for (const char* name : {"mute_time_intervals", "time_intervals"}) {
    const yaml::Node* list = decoder.Take(name);
    if (list != nullptr) decoder.Fail(ReadTimeIntervals(*list));
  }
  if (const yaml::Node* list = decoder.Take("receivers")) {
    decoder.Fail(ReadReceivers(*list));
  }
  const yaml::Node* route = decoder.Take("route");
  if (route != nullptr && !route->is_null()) {
    decoder.Fail(ReadRoute(*route, &config_->route));
    if (decoder.ok()) decoder.Fail(CheckRoot(*route, config_->route));
  } else {
    decoder.Fail("no route provided in config");
  }
  if (const yaml::Node* list = decoder.Take("inhibit_rules")) {
    decoder.Fail(
        ReadList(*list, &config_->inhibit_rules,
                 [this](const yaml::Node& item, InhibitRuleConfig* out) {
                   return ReadInhibitRule(item, out);
                 }));
  }
  decoder.Field("templates", &config_->templates);
  RefuseUnsupported(decoder, "tracing");
  RefuseUnsupported(decoder, "event_recorder");
  NARTHEX_RETURN_IF_ERROR(decoder.Done());
  return unsupported_.empty() ? absl::OkStatus() : unsupported_.front();
}

void ResolvePaths(const std::string& file, Config* result) {
  const std::size_t slash = file.rfind('/');
  const std::string directory =
      slash == std::string::npos ? "." : file.substr(0, slash);
  const auto resolve = [&directory](std::string* path) {
    if (!path->empty() && path->front() != '/') {
      *path = absl::StrCat(directory, "/", *path);
    }
  };
  for (std::string& pattern : result->templates) resolve(&pattern);
  for (ReceiverConfig& receiver : result->receivers) {
    for (WebhookConfig& webhook : receiver.webhooks) {
      resolve(&webhook.url_file);
      http::SetDirectory(directory, &webhook.http);
    }
  }
}

}  // namespace

absl::StatusOr<Config> ParseConfig(absl::string_view text,
                                   const std::string& file,
                                   const ConfigOptions& options) {
  NARTHEX_ASSIGN_OR_RETURN(const yaml::Document document,
                           yaml::Document::Parse(text, file));
  Config config;
  config.source = std::string(text);
  NARTHEX_RETURN_IF_ERROR(Reader(options, &config).Read(document.root()));
  ResolvePaths(file, &config);
  return config;
}

absl::StatusOr<Config> LoadConfig(const std::string& file,
                                  const ConfigOptions& options) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(file));
  return ParseConfig(text, file, options);
}

}  // namespace narthex::alertmanager
