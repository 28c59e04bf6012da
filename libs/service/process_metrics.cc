#include "libs/service/process_metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"

namespace narthex::service {

namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) +
         static_cast<double>(time.tv_usec) / 1e6;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

// The `field`th number of /proc/self/statm, in bytes.
double MemoryBytes(std::size_t field) {
  const base::UniqueFd fd(open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
  std::array<char, 256> text{};
  const auto size = fd ? read(fd.get(), text.data(), text.size() - 1) : 0;
  if (size <= 0) return 0;
  const std::vector<absl::string_view> fields = absl::StrSplit(
      absl::string_view(text.data(), static_cast<std::size_t>(size)), ' ');
  double pages = 0;
  if (field >= fields.size() || !absl::SimpleAtod(fields[field], &pages)) {
    return 0;
  }
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double OpenFds() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  // ".", ".." and the directory's own descriptor do not count.
  int count = -3;
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

double Limit(decltype(RLIMIT_NOFILE) resource) {
  rlimit limit{};
  getrlimit(resource, &limit);
  return limit.rlim_cur == RLIM_INFINITY ? -1
                                         : static_cast<double>(limit.rlim_cur);
}

}  // namespace

void AddProcessMetrics(metrics::Registry& registry,
                       std::int64_t start_time_ms) {
  registry.NewCounterFunction(
      "process_cpu_seconds_total",
      "Total user and system CPU time spent in seconds.", CpuSeconds);
  registry.NewGaugeFunction("process_resident_memory_bytes",
                            "Resident memory size in bytes.",
                            [] { return MemoryBytes(1); });
  registry.NewGaugeFunction("process_virtual_memory_bytes",
                            "Virtual memory size in bytes.",
                            [] { return MemoryBytes(0); });
  registry.NewGaugeFunction("process_virtual_memory_max_bytes",
                            "Maximum amount of virtual memory available in "
                            "bytes.",
                            [] { return Limit(RLIMIT_AS); });
  registry.NewGaugeFunction("process_open_fds",
                            "Number of open file descriptors.", OpenFds);
  registry.NewGaugeFunction("process_max_fds",
                            "Maximum number of open file descriptors.",
                            [] { return Limit(RLIMIT_NOFILE); });
  registry
      .NewGauge("process_start_time_seconds",
                "Start time of the process since unix epoch in seconds.")
      .Set(static_cast<double>(start_time_ms) / 1e3);
}

}  // namespace narthex::service
