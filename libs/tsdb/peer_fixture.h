#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace narthex::tsdb {

/// The path of a program of the real Prometheus, empty (and a warning) when it
/// is not installed.
std::string PeerProgram(const std::string& name);

/// What a shell command prints; fails the test when it fails.
std::string RunCommand(const std::string& command);

/// A real Prometheus that serves a directory until it is destroyed.
class RunningPrometheus {
 public:
  /// Fails the test when it is not ready within half a minute.
  RunningPrometheus(const std::string& program, const std::string& directory,
                    const std::vector<std::string>& more_flags = {});
  ~RunningPrometheus();
  RunningPrometheus(const RunningPrometheus&) = delete;
  RunningPrometheus& operator=(const RunningPrometheus&) = delete;

  /// Ends it as it wants to be ended, rather than killing it.
  void Stop();

  std::string Get(const std::string& path) const;
  std::string Post(const std::string& path) const;
  /// What it said so far.
  std::string Log() const;

 private:
  std::string Url(const std::string& path) const;

  const std::string log_path_;
  int process_ = 0;
  std::uint16_t port_ = 0;
};

}  // namespace narthex::tsdb
