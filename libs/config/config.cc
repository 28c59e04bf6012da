#include "libs/config/config.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"
#include "libs/config/environment.h"
#include "libs/config/fields.h"

namespace narthex::config {
namespace {

/// Stars only in the last part of the path.
bool IsFilePattern(absl::string_view path) {
  const std::size_t star = path.find('*');
  return star == absl::string_view::npos ||
         path.find('/', star) == absl::string_view::npos;
}

void DecodePatterns(yaml::Decoder& d, absl::string_view field,
                    absl::string_view what, std::vector<std::string>* out) {
  d.Field(field, out);
  for (std::size_t i = 0; d.ok() && i < out->size(); ++i) {
    if (IsFilePattern((*out)[i])) continue;
    d.Fail(d.node().Find(field)->items()[i]->Error(
        absl::StrCat("invalid ", what, " path ", base::Quote((*out)[i]))));
  }
}

/// Where each job name was first seen.
using JobNames = std::map<std::string, std::string>;

void DecodeScrapeConfigs(yaml::Decoder& d, const GlobalConfig& global,
                         const std::string& where, JobNames* names,
                         std::vector<ScrapeConfig>* out) {
  const yaml::Node* list = d.Take("scrape_configs");
  if (list == nullptr || list->is_null()) return;
  if (!list->is_sequence()) d.Fail(list->Error("expected a list"));
  for (const auto& item : list->items()) {
    ScrapeConfig config;
    d.Fail(Decode(*item, global, &config));
    if (!d.ok()) return;
    const auto [first, added] = names->emplace(config.job_name, where);
    if (!added) {
      d.Fail(item->Error(absl::StrCat(
          "found multiple scrape configs with job name ",
          base::Quote(config.job_name), ", first found in ", first->second)));
    }
    out->push_back(std::move(config));
  }
}

template <typename Remote, typename DecodeOne>
void DecodeRemotes(yaml::Decoder& d, absl::string_view field,
                   DecodeOne decode_one, std::vector<Remote>* out) {
  const yaml::Node* list = d.Take(field);
  if (list == nullptr || list->is_null()) return;
  if (!list->is_sequence()) d.Fail(list->Error("expected a list"));
  for (const auto& item : list->items()) {
    Remote remote;
    d.Fail(item->is_null()
               ? item->Error(absl::StrCat("empty or null ", field, " section"))
               : decode_one(*item, &remote));
    for (const Remote& other : *out) {
      if (!remote.name.empty() && remote.name == other.name) {
        d.Fail(item->Error(absl::StrCat("found multiple ", field,
                                        " configs with job name ",
                                        base::Quote(remote.name))));
      }
    }
    if (!d.ok()) return;
    out->push_back(std::move(remote));
  }
}

void DecodeRemoteSections(yaml::Decoder& d, Config* config) {
  const auto validation = config->global.validation();
  DecodeRemotes(
      d, "remote_write",
      [&](const yaml::Node& node, RemoteWriteConfig* out) {
        return Decode(node, validation, out);
      },
      &config->remote_write);
  DecodeRemotes(
      d, "remote_read",
      [](const yaml::Node& node, RemoteReadConfig* out) {
        return Decode(node, out);
      },
      &config->remote_read);
}

void DecodeRuntime(yaml::Decoder& d, int* gogc) {
  const yaml::Node* runtime = d.Take("runtime");
  if (runtime == nullptr || runtime->is_null()) return;
  yaml::Decoder r(*runtime);
  int value = 0;
  if (r.Field("gogc", &value) && value != 0) *gogc = value;
  d.Fail(r.Done());
}

void ExpandExternalLabels(Config* config) {
  model::LabelsBuilder builder;
  for (const model::Label& label : config->global.external_labels) {
    std::vector<std::string> empty;
    const std::string value = ExpandEnvironment(label.value, &empty);
    if (value.empty()) {
      config->global.empty_external_labels.emplace_back(label.name);
    }
    builder.Set(label.name, value);
    for (const std::string& name : empty) {
      config->warnings.push_back(absl::StrCat("external label ", label.name,
                                              ": environment variable ", name,
                                              " is empty"));
    }
  }
  config->global.external_labels = builder.Build();
}

absl::Status DecodeMain(const yaml::Node& node, JobNames* names,
                        Config* config) {
  yaml::Decoder d(node);
  d.Field("global", &config->global);
  const auto validation = config->global.validation();
  DecodeRuntime(d, &config->gogc);
  if (const yaml::Node* alerting = d.Take("alerting")) {
    d.Fail(Decode(*alerting, validation, &config->alerting));
  }
  DecodePatterns(d, "rule_files", "rule file", &config->rule_files);
  DecodePatterns(d, "scrape_config_files", "scrape config file",
                 &config->scrape_config_files);
  DecodeScrapeConfigs(d, config->global, "main config file", names,
                      &config->scrape_configs);
  d.Field("storage", &config->storage);
  d.Field("tracing", &config->tracing);
  DecodeRemoteSections(d, config);
  if (const yaml::Node* otlp = d.Take("otlp")) {
    d.Fail(Decode(*otlp, validation, &config->otlp));
  }
  return d.Done();
}

void ResolvePaths(const std::string& directory, Config* config) {
  SetDirectory(directory, &config->global);
  SetDirectory(directory, &config->alerting);
  for (std::string& file : config->rule_files) SetDirectory(directory, &file);
  for (std::string& file : config->scrape_config_files) {
    SetDirectory(directory, &file);
  }
  for (ScrapeConfig& scrape : config->scrape_configs) {
    SetDirectory(directory, &scrape);
  }
  if (config->tracing.has_value()) {
    SetDirectory(directory, &config->tracing->tls);
  }
  for (auto& remote : config->remote_write) {
    SetDirectory(directory, &remote.http);
  }
  for (auto& remote : config->remote_read) {
    SetDirectory(directory, &remote.http);
  }
}

std::string DirectoryOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

absl::Status LoadIncluded(const std::string& path, JobNames* names,
                          Config* config) {
  NARTHEX_ASSIGN_OR_RETURN(const yaml::Document document,
                           yaml::Document::Load(path));
  yaml::Decoder d(document.root());
  std::vector<ScrapeConfig> scrapes;
  DecodeScrapeConfigs(d, config->global, base::Quote(path), names, &scrapes);
  NARTHEX_RETURN_IF_ERROR(d.Done());
  for (ScrapeConfig& scrape : scrapes) {
    SetDirectory(DirectoryOf(path), &scrape);
    config->included_scrape_configs.push_back(std::move(scrape));
  }
  return absl::OkStatus();
}

void ListUnsupported(Config* config) {
  const std::string why = ": known to Prometheus, not supported yet";
  auto add = [&](bool present, const std::string& field) {
    if (present) config->unsupported.push_back(field + why);
  };
  add(!config->remote_write.empty(), "remote_write");
  add(!config->remote_read.empty(), "remote_read");
  add(config->tracing.has_value(), "tracing");
}

template <typename T>
void EmitAll(absl::string_view field, const std::vector<T>& list,
             yaml::Emitter* out) {
  if (list.empty()) return;
  out->Key(field).BeginSequence();
  for (const T& item : list) Emit(item, out);
  out->EndSequence();
}

}  // namespace

absl::StatusOr<Config> Parse(absl::string_view text, const std::string& file,
                             const std::string& directory,
                             const GlobalConfig& defaults) {
  NARTHEX_ASSIGN_OR_RETURN(const yaml::Document document,
                           yaml::Document::Parse(text, file));
  Config config;
  config.global = defaults;
  JobNames names;
  NARTHEX_RETURN_IF_ERROR(DecodeMain(document.root(), &names, &config));
  ExpandExternalLabels(&config);
  ResolvePaths(directory, &config);
  for (const std::string& pattern : config.scrape_config_files) {
    for (const std::string& path : base::Glob(pattern)) {
      NARTHEX_RETURN_IF_ERROR(LoadIncluded(path, &names, &config));
    }
  }
  ListUnsupported(&config);
  return config;
}

absl::StatusOr<Config> Load(const std::string& path,
                            const GlobalConfig& defaults) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path));
  return Parse(text, path, DirectoryOf(path), defaults);
}

std::vector<ScrapeConfig> Config::AllScrapeConfigs() const {
  std::vector<ScrapeConfig> all = scrape_configs;
  all.insert(all.end(), included_scrape_configs.begin(),
             included_scrape_configs.end());
  return all;
}

std::vector<std::string> Config::RuleFilePaths() const {
  std::vector<std::string> paths;
  for (const std::string& pattern : rule_files) {
    for (std::string& path : base::Glob(pattern)) {
      if (std::find(paths.begin(), paths.end(), path) == paths.end()) {
        paths.push_back(std::move(path));
      }
    }
  }
  return paths;
}

std::vector<std::string> Config::Files(const std::string& path) const {
  std::vector<std::string> files = {path};
  for (const std::string& pattern : scrape_config_files) {
    for (std::string& file : base::Glob(pattern)) {
      files.push_back(std::move(file));
    }
  }
  for (std::string& file : RuleFilePaths()) files.push_back(std::move(file));
  return files;
}

std::string Config::Print() const {
  yaml::Emitter out;
  out.BeginMap();
  out.Key("global");
  Emit(global, &out);
  out.Key("runtime").BeginMap();
  out.Field("gogc", std::int64_t{gogc});
  out.EndMap();
  if (alerting != AlertingConfig()) {
    out.Key("alerting");
    Emit(alerting, &out);
  }
  EmitList("rule_files", rule_files, &out);
  EmitList("scrape_config_files", scrape_config_files, &out);
  EmitAll("scrape_configs", scrape_configs, &out);
  if (storage != StorageConfig()) {
    out.Key("storage");
    Emit(storage, &out);
  }
  if (tracing.has_value()) {
    out.Key("tracing");
    Emit(*tracing, &out);
  }
  EmitAll("remote_write", remote_write, &out);
  EmitAll("remote_read", remote_read, &out);
  out.Key("otlp");
  Emit(otlp, &out);
  out.EndMap();
  return out.text();
}

}  // namespace narthex::config
