#include "libs/discovery/file.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <limits>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/quote.h"
#include "libs/base/status.h"

namespace narthex::discovery {
namespace {

constexpr absl::string_view kFilePathLabel = "__meta_filepath";
constexpr std::uint32_t kEvents = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM |
                                  IN_DELETE | IN_CLOSE_WRITE | IN_ATTRIB;

// To write a file causes several events in a row: it is read when there were
// none for so long, and all the same after so many waits.
constexpr int kSettleMs = 20;
constexpr int kMostSettling = 10;

bool IsFilePattern(absl::string_view path) {
  const std::size_t dot = path.rfind('.');
  if (dot == absl::string_view::npos) return false;
  const absl::string_view extension = path.substr(dot + 1);
  if (extension != "json" && extension != "yml" && extension != "yaml" &&
      extension != "JSON" && extension != "YML" && extension != "YAML") {
    return false;
  }
  const std::size_t star = path.find('*');
  return star == absl::string_view::npos ||
         path.find('/', star) == absl::string_view::npos;
}

std::string SourceOf(const std::string& path, std::size_t index) {
  return absl::StrCat(path, ":", index);
}

double ModifiedSeconds(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return 0;
  return static_cast<double>(info.st_mtim.tv_sec) +
         static_cast<double>(info.st_mtim.tv_nsec) / 1e9;
}

/// Groups that make the consumer forget indexes from `first` to `end`.
void AddRemovals(const std::string& path, std::size_t first, std::size_t end,
                 std::vector<TargetGroup>* changes) {
  for (std::size_t i = first; i < end; ++i) {
    TargetGroup gone;
    gone.source = SourceOf(path, i);
    changes->push_back(std::move(gone));
  }
}

}  // namespace

absl::Status Decode(const yaml::Node& node, FileConfig* config) {
  yaml::Decoder d(node);
  d.Field("files", &config->files);
  d.Duration("refresh_interval", &config->refresh_interval_ms);
  NARTHEX_RETURN_IF_ERROR(d.Done());
  if (config->files.empty()) {
    return node.Error(
        "file service discovery config must contain at least one path name");
  }
  for (const std::string& file : config->files) {
    if (!IsFilePattern(file)) {
      return node.Error(absl::StrCat("path name ", base::Quote(file),
                                     " is not valid for file discovery"));
    }
  }
  return absl::OkStatus();
}

void Emit(const FileConfig& config, yaml::Emitter* out) {
  out->BeginMap();
  out->Field("files", config.files);
  out->Key("refresh_interval").Duration(config.refresh_interval_ms);
  out->EndMap();
}

void SetDirectory(const std::string& directory, FileConfig* config) {
  for (std::string& file : config->files) {
    base::SetDirectory(directory, &file);
  }
}

std::unique_ptr<Provider> MakeProvider(const FileConfig& config,
                                       const ProviderContext& context) {
  return std::make_unique<FileProvider>(config, context.logger,
                                        context.metrics);
}

absl::StatusOr<std::vector<TargetGroup>> ReadTargetGroups(
    const std::string& path) {
  NARTHEX_ASSIGN_OR_RETURN(const yaml::Document document,
                           yaml::Document::Load(path));
  std::vector<TargetGroup> groups;
  NARTHEX_RETURN_IF_ERROR(Decode(document.root(), &groups));
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i].source = SourceOf(path, i);
    model::LabelsBuilder labels(groups[i].labels);
    labels.Set(kFilePathLabel, path);
    groups[i].labels = labels.Build();
  }
  return groups;
}

FileProvider::FileProvider(FileConfig config, base::Logger logger,
                           Metrics& metrics)
    : config_(std::move(config)),
      logger_(std::move(logger)),
      metrics_(metrics) {}

FileProvider::~FileProvider() { Stop(); }

void FileProvider::Start(Update update) {
  update_ = std::move(update);
  stop_ = base::UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  inotify_ = base::UniqueFd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify_) {
    metrics_.file_watcher_errors.Inc();
    logger_.Warn("cannot watch files, only refreshing them",
                 {{"err", std::generic_category().message(errno)}});
  }
  Watch();
  Refresh();
  thread_ = std::thread([this] { Run(); });
}

void FileProvider::Stop() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  // The counter cannot overflow: it is written once.
  [[maybe_unused]] const auto written = write(stop_.get(), &one, sizeof one);
  thread_.join();
}

void FileProvider::Run() {
  pthread_setname_np(pthread_self(), "sd-file");
  const auto timeout = static_cast<int>(std::min<std::int64_t>(
      config_.refresh_interval_ms, std::numeric_limits<int>::max()));
  for (;;) {
    std::array<pollfd, 2> fds{
        {{stop_.get(), POLLIN, 0}, {inotify_.get(), POLLIN, 0}}};
    const int ready = poll(fds.data(), inotify_ ? 2 : 1, timeout);
    if (ready < 0 && errno != EINTR) return;
    if (fds[0].revents != 0) return;
    if (fds[1].revents != 0) DrainEvents();
    Watch();
    Refresh();
  }
}

void FileProvider::DrainEvents() {
  std::array<char, 4096> buffer;
  pollfd more{inotify_.get(), POLLIN, 0};
  for (int i = 0; i < kMostSettling; ++i) {
    while (read(inotify_.get(), buffer.data(), buffer.size()) > 0) {
    }
    if (poll(&more, 1, kSettleMs) <= 0) return;
  }
}

void FileProvider::Watch() {
  if (!inotify_) return;
  for (const std::string& pattern : config_.files) {
    std::string directory =
        std::filesystem::path(pattern).parent_path().string();
    if (directory.empty()) directory.push_back('.');
    // Adding again is harmless, and needed when the directory was replaced.
    if (inotify_add_watch(inotify_.get(), directory.c_str(), kEvents) >= 0) {
      watched_.insert(directory);
    } else if (watched_.erase(directory) > 0 || errno != ENOENT) {
      metrics_.file_watcher_errors.Inc();
      logger_.Warn("cannot watch directory, only refreshing its files",
                   {{"path", directory},
                    {"err", std::generic_category().message(errno)}});
    }
  }
}

void FileProvider::ReadInto(const std::string& path,
                            std::vector<TargetGroup>* changes) {
  auto groups = ReadTargetGroups(path);
  if (!groups.ok()) {
    metrics_.file_read_errors.Inc();
    logger_.Error("error reading file, keeping its targets",
                  {{"path", path}, {"err", groups.status().message()}});
    known_.try_emplace(path, 0);
    return;
  }
  metrics_.file_mtime.With({path}).Set(ModifiedSeconds(path));
  std::size_t& known = known_[path];
  AddRemovals(path, groups->size(), known, changes);
  known = groups->size();
  for (TargetGroup& group : *groups) changes->push_back(std::move(group));
}

void FileProvider::Refresh() {
  const std::int64_t start_ns = base::Clock::System().MonotonicNs();
  std::set<std::string> paths;
  for (const std::string& pattern : config_.files) {
    for (std::string& path : base::Glob(pattern)) {
      paths.insert(std::move(path));
    }
  }
  std::vector<TargetGroup> changes;
  for (const std::string& path : paths) ReadInto(path, &changes);
  for (auto it = known_.begin(); it != known_.end();) {
    if (paths.count(it->first) != 0) {
      ++it;
      continue;
    }
    AddRemovals(it->first, 0, it->second, &changes);
    metrics_.file_mtime.Remove({it->first});
    it = known_.erase(it);
  }
  metrics_.file_scan_duration.Observe(
      static_cast<double>(base::Clock::System().MonotonicNs() - start_ns) /
      1e9);
  update_(std::move(changes));
}

}  // namespace narthex::discovery
